"""The page itself, made of Gradio's components.

Nothing is loaded from another host: a header forbids it, and fonts are the system's own.
"""

from collections.abc import Callable
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from uniemo.app.wheel import SIDE, chosen_at, wheel_picture
from uniemo.app.work import Painted, Stopped, Studio, blended
from uniemo.errors import UserError
from uniemo.pipeline.emotion_pipeline import STRENGTH
from uniemo.pipeline.picture_request import MAX_INTENSITY

LARGEST_FILE = "30mb"
AT_ONCE = 2  # people who are served at the same time; others wait
MAX_PICTURES = 8
KEPT = 3600  # seconds that uploads and pictures stay on the disk
OWN_HOST = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' ws: data: blob:"
)
SYSTEM = gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
STYLE = """
.pictures .caption-label { position: static; max-width: 100%; white-space: pre-line; }
.pictures .thumbnail-lg { height: auto; aspect-ratio: auto; overflow: visible; }
"""
PICTURES: dict[str, Any] = {
    "show_label": False,
    "object_fit": "contain",
    "height": "auto",
    "elem_classes": "pictures",
}
INTRODUCTION = """# UniEmo
Drop a photo to see what it makes people feel; choose an emotion and paint it."""


class OwnHostOnly:
    """Tell the browser to load nothing from another host."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the header to every response."""

        async def with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                header = (b"content-security-policy", OWN_HOST.encode())
                message["headers"] = [*message["headers"], header]
            await send(message)

        await self.app(scope, receive, with_header)


def build_page(studio: Studio) -> gr.Blocks:
    """Return the page on a pipeline."""
    names = list(studio.pipe.emotions.names)
    sampling = studio.pipe.emotion_model.settings.sampling
    with gr.Blocks(
        title="UniEmo", analytics_enabled=False, fill_width=True, delete_cache=(KEPT, KEPT)
    ) as page:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column(min_width=320):
                photo = gr.File(label="Photo", file_types=["image"], type="filepath", height=120)
                probabilities = gr.Label(label="What it makes people feel", num_top_classes=4)
                evidence = gr.Markdown()
                looks = gr.Gallery(columns=3, visible=False, **PICTURES)
            with gr.Column(min_width=320):
                gr.Markdown("Click: the direction is a blend, the distance the intensity.")
                wheel = gr.Image(
                    wheel_picture(names),
                    show_label=False,
                    interactive=False,
                    buttons=[],
                    width=SIDE,
                    height=SIDE,
                    elem_id="wheel",
                    alt_text="A wheel of the eight emotions",
                )
                with gr.Row():
                    first = gr.Dropdown(names, value=names[0], label="Emotion", min_width=140)
                    second = gr.Dropdown(
                        ["", *names], value="", label="blended with", min_width=140
                    )
                share = gr.Slider(0, 1, 0, step=0.05, label="Share of the second")
                intensity = gr.Slider(0, MAX_INTENSITY, 1, step=0.05, label="Intensity")
                with gr.Accordion("More", open=False):
                    prompt = gr.Textbox(label="Prompt", placeholder="a photo of a * house")
                    negative = gr.Dropdown(["", *names], value="", label="Guide away from")
                    seed = gr.Number(0, label="Seed", precision=0, minimum=0)
                    steps = gr.Slider(1, 50, sampling.num_inference_steps, step=1, label="Steps")
                    strength = gr.Slider(0.1, 1, STRENGTH, step=0.05, label="Strength of an edit")
            with gr.Column(min_width=320):
                number = gr.Slider(1, MAX_PICTURES, 4, step=1, label="Pictures")
                with gr.Row():
                    paint = gr.Button("Paint", variant="primary", min_width=140)
                    cancel = gr.Button("Cancel", variant="stop", min_width=140)
                    evoked = gr.Button("Paint what it evokes", min_width=140)
                    edit = gr.Button("Edit the photo", min_width=140)
                gallery = gr.Gallery(columns=2, format="png", elem_id="pictures", **PICTURES)
                words = gr.File(label="Their words, for other tools", file_count="multiple")

        def read(photo: str | None) -> Any:
            if photo is None:
                return None, "", gr.update(value=[], visible=False)
            reading, shown = told(studio.read, photo)
            seen = [
                f"**{kind}** {found.name} (p = {found.coefficients[reading.emotion]:.2f})"
                for kind, found in (("scene", reading.scene), ("object", reading.object))
                if found.name
            ]
            return reading.probabilities, ", ".join(seen), gr.update(value=shown, visible=True)

        def asked(*values: Any) -> dict[str, Any]:
            prompt, negative, seed, steps, intensity, number = values
            return {
                "prompt": prompt or None,
                "negative": negative or None,
                "seed": int(seed or 0),
                "num_inference_steps": int(steps),
                "intensity": intensity,
                "num_images": int(number),
            }

        def on_paint(
            request: gr.Request,
            first: str,
            second: str,
            share: float,
            *values: Any,
            progress: gr.Progress = gr.Progress(),  # noqa: B008  # how Gradio finds it
        ) -> Painted:
            window = str(request.session_hash)
            emotion = told(blended, first, second, share)
            return told(studio.paint, window, progress, emotion, **asked(*values))

        def on_evoked(
            request: gr.Request,
            photo: str | None,
            *values: Any,
            progress: gr.Progress = gr.Progress(),  # noqa: B008
        ) -> Painted:
            image, window = dropped(photo), str(request.session_hash)
            return told(studio.paint, window, progress, None, image=image, **asked(*values))

        def on_edit(
            request: gr.Request,
            photo: str | None,
            strength: float,
            first: str,
            second: str,
            share: float,
            *values: Any,
            progress: gr.Progress = gr.Progress(),  # noqa: B008
        ) -> Painted:
            image, window = dropped(photo), str(request.session_hash)
            emotion = told(blended, first, second, share)
            how = asked(*values) | {"strength": strength}
            return told(studio.edit, window, progress, image, emotion, **how)

        def on_wheel(event: gr.SelectData) -> tuple[str, str, float, float]:
            x, y = event.index
            return chosen_at(x, y, names)

        def on_cancel(request: gr.Request) -> None:
            studio.stop(str(request.session_hash))

        how: list[Any] = [prompt, negative, seed, steps, intensity, number]
        emotion: list[Any] = [first, second, share]
        shown: list[Any] = [gallery, words]
        busy: dict[str, Any] = {"concurrency_limit": AT_ONCE, "concurrency_id": "work"}
        photo.change(read, photo, [probabilities, evidence, looks], **busy)
        wheel.select(on_wheel, None, [*emotion, intensity], queue=False)
        paint.click(on_paint, [*emotion, *how], shown, **busy)
        evoked.click(on_evoked, [photo, *how], shown, **busy)
        edit.click(on_edit, [photo, strength, *emotion, *how], shown, **busy)
        cancel.click(on_cancel, queue=False)
    return page


def launch(page: gr.Blocks, port: int | None, wait: bool = True) -> str:
    """Serve the page on this machine alone; return its address.

    Args:
        page: The page.
        port: Its port; None for the first free one from 7860 on.
        wait: Whether to stay until it is interrupted.

    Raises:
        UserError: If the port is taken.
    """
    try:
        _, address, _ = page.launch(
            server_name="127.0.0.1",
            server_port=port,
            share=False,
            ssr_mode=False,
            quiet=not wait,
            prevent_thread_lock=True,
            max_file_size=LARGEST_FILE,
            theme=SYSTEM,
            css=STYLE,
            footer_links=[],
            app_kwargs={"middleware": [Middleware(OwnHostOnly)]},
        )
    except OSError as error:
        raise UserError(f"port {port} cannot be used; give another --port") from error
    if wait:
        page.block_thread()
    return address


def dropped(photo: str | None) -> str:
    """Return the photo; tell the person if there is none."""
    if photo is None:
        raise gr.Error("There is no photo; drop one first.", print_exception=False)
    return photo


def told(function: Callable[..., Any], *args: Any, **how: Any) -> Any:
    """Call a function; what the person did wrong becomes a message on the page."""
    try:
        return function(*args, **how)
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from None
    except Stopped:
        raise gr.Error("Stopped.", title="", print_exception=False) from None
