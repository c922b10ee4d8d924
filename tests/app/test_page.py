"""The page in a headless browser: what people click does what it says, and nothing leaves."""

import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.tiny import trained_tiny_model
from uniemo.app.work import Studio
from uniemo.pipeline import UniEmoPipeline

pytest.importorskip("gradio")
playwright = pytest.importorskip("playwright.sync_api")

WAIT = 120_000  # milliseconds, on a busy machine


@pytest.fixture(scope="module")
def pipe(tiny_files) -> UniEmoPipeline:
    return UniEmoPipeline.of(trained_tiny_model(tiny_files))


@pytest.fixture(scope="module")
def address(pipe) -> Iterator[str]:
    from uniemo.app.page import build_page, launch

    page = build_page(Studio(pipe))
    yield launch(page, None, wait=False)
    page.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on the path")
    with playwright.sync_playwright() as p:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = p.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def windows(browser, address) -> Iterator[Any]:
    """Opens the page as a person of one's own."""
    contexts = []

    def window(width: int = 1280) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}))
        page = contexts[-1].new_page()
        page.set_default_timeout(WAIT)
        page.problems = []
        page.on("console", lambda m: m.type == "error" and page.problems.append(m.text))
        page.on("request", lambda r: r.url.startswith(OWN) or page.problems.append(r.url))
        page.goto(address)
        page.get_by_role("button", name="Paint", exact=True).wait_for()
        return page

    OWN = (address, "data:", "blob:")
    yield window
    for context in contexts:
        context.close()


def choose(page: Any, emotion: str) -> None:
    page.get_by_label("Emotion", exact=True).click()
    page.get_by_role("option", name=emotion).click()


def pictures(page: Any) -> list[bytes]:
    """Wait for the pictures; return their pixels."""
    page.locator("#pictures img").nth(3).wait_for()
    sources = [img.get_attribute("src") for img in page.locator("#pictures img").all()[:4]]
    bodies = [page.request.get(source).body() for source in sources]
    return [Image.open(BytesIO(body)).convert("RGB").tobytes() for body in bodies]


@pytest.mark.parametrize("width", [390, 1280])  # a phone, a desktop
def test_a_click_paints_and_a_photo_is_read_without_another_host(windows, tiny_files, pipe, width):
    page = windows(width)
    photo = next((tiny_files["emoset"] / "image/awe").glob("*.jpg"))
    page.set_input_files("input[type=file]", str(photo))
    page.get_by_text("where the object queries look").wait_for()
    reading = pipe.read(photo)[0]
    assert page.get_by_test_id("label-output-value").inner_text() == reading.emotion
    page.get_by_role("button", name="Paint", exact=True).click()
    assert pictures(page) == [image.tobytes() for image in pipe("amusement", num_images=4).images]
    page.get_by_text("word_003").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.problems == []


def test_two_people_at_once_get_their_own_pictures(windows, pipe):
    pages = {"fear": windows(), "sadness": windows()}
    for emotion, page in pages.items():
        choose(page, emotion)
    for page in pages.values():
        page.get_by_role("button", name="Paint", exact=True).click()
    for emotion, page in pages.items():
        expected = pipe(emotion, num_images=4).images
        assert pictures(page) == [image.tobytes() for image in expected]


def test_the_wheel_chooses(windows):
    page = windows()
    wheel = page.locator("#wheel img")
    size = wheel.bounding_box()
    wheel.click(position={"x": size["width"] / 2, "y": size["height"] * 0.7})
    page.wait_for_function("document.querySelector('input[aria-label=\"Emotion\"]').value=='anger'")


def test_what_cannot_be_done_is_told_on_the_page(windows, tmp_path):
    page = windows()
    toast = page.locator(".toast-body")
    for name, content, words in broken_files(tmp_path):
        (tmp_path / name).write_bytes(content)
        page.set_input_files("input[type=file]", str(tmp_path / name))
        toast.filter(has_text=words).first.wait_for()
        page.get_by_label("Remove").or_(page.get_by_label("Clear")).first.click()
    page.get_by_role("button", name="Edit the photo").click()
    toast.filter(has_text="There is no photo").first.wait_for()
    page.get_by_role("button", name="More").click()
    page.get_by_label("Prompt").fill("a house")
    page.get_by_role("button", name="Paint", exact=True).click()
    toast.filter(has_text="lacks the placeholder").first.wait_for()


def broken_files(folder: Path) -> list[tuple[str, bytes, str]]:
    """Return names, contents and what is said of them."""
    huge = BytesIO()
    Image.new("1", (10_400, 10_400)).save(huge, "png")
    return [
        ("broken.jpg", b"no picture", "cannot be read"),
        ("huge.png", huge.getvalue(), "shrink it"),
    ]
