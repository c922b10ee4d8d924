"""What the page shows is what the pipeline gives, for each window by itself."""

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.tiny import trained_tiny_model
from uniemo.app.work import Stopped, Studio, blended
from uniemo.emotions import EMOTIONS
from uniemo.errors import UserError
from uniemo.pipeline import UniEmoPipeline

HOW = {"num_images": 2, "num_inference_steps": 2}


@pytest.fixture(scope="module")
def pipe(tiny_files) -> UniEmoPipeline:
    return UniEmoPipeline.of(trained_tiny_model(tiny_files))


@pytest.fixture
def photo(tiny_files) -> str:
    return str(next((tiny_files["emoset"] / "image/awe").glob("*.jpg")))


def test_pictures_words_and_coefficients_are_the_pipelines(pipe):
    done: list[float] = []
    studio = Studio(pipe)  # its files last as long as it
    painted = studio.paint("window", done.append, "awe", **HOW)
    expected = pipe("awe", **HOW)
    assert done == [0.5, 1]
    for (image, caption), own, scene in zip(
        painted.gallery, expected.images, expected.scenes, strict=True
    ):
        assert image.tobytes() == own.tobytes()
        assert scene is None or scene in caption
    words = torch.cat([load_file(path)["emb_params"] for path in painted.words])
    torch.testing.assert_close(words, expected.words)


def test_the_judges_verdict_stands_with_each_picture(pipe):
    class Sure:
        def __call__(self, images):
            assert images.shape == (2, 3, 8, 8)
            logits = torch.full((2, 8), -9.0)
            logits[:, 3] = 9
            return type("Prediction", (), {"emotion": logits})

    painted = Studio(pipe, Sure()).paint("window", lambda done: None, "awe", **HOW)
    assert all(f"judge: {EMOTIONS[3]} 100%" in caption for _, caption in painted.gallery)


def test_reading_shows_the_photo_and_both_maps(pipe, photo):
    reading, shown = Studio(pipe).read(photo)
    assert reading.probabilities == pipe.read(photo)[0].probabilities
    assert [caption for _, caption in shown] == [
        "your photo",
        "where the scene queries look",
        "where the object queries look",
    ]
    assert all(isinstance(image, Image.Image) for image, _ in shown)


def test_stopping_one_window_ends_its_work_alone(pipe, photo):
    studio = Studio(pipe)
    studio.stop("nobody's")

    def press(done: float) -> None:
        studio.stop("one")

    with pytest.raises(Stopped):
        studio.edit("one", press, photo, "fear", strength=1, **HOW)
    assert len(studio.edit("two", press, photo, "fear", strength=1, **HOW).words) == 2
    assert len(studio.paint("one", lambda done: None, "fear", **HOW).words) == 2


def test_a_blend_of_one_emotion_is_that_emotion():
    assert blended("awe", "", 0.5) == blended("awe", "awe", 0.5) == blended("awe", "fear", 0)
    assert blended("awe", "fear", 0.25) == {"awe": 0.75, "fear": 0.25}
    with pytest.raises(UserError, match="no emotion"):
        blended("", "fear", 0.5)
