"""What the page does: reads, paints and edits for several people at once.

Legend: N pictures.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import torch
from PIL import Image
from torchvision.transforms.v2.functional import to_image

from uniemo.errors import UserError
from uniemo.evaluation.judge import Judge
from uniemo.pipeline import Reading, UniEmoPipeline, UniEmoPipelineOutput
from uniemo.pipeline.emotion_pipeline import StepCallback
from uniemo.pipeline.exporting import write_word
from uniemo.pipeline.photos import attention_picture, open_photo
from uniemo.pipeline.words import Emotion

Progress = Callable[[float], None]


class Stopped(Exception):
    """The person has pressed the button."""


class Painted(NamedTuple):
    """What the page shows of N pictures."""

    gallery: list[tuple[Image.Image, str]]
    words: list[str]  # files, one for each picture


@dataclass
class Studio:
    """A pipeline, and what goes on with it in each browser window.

    Attributes:
        pipe: The pipeline.
        judge: Reads the pictures; None if there is none of the model's emotions.
    """

    pipe: UniEmoPipeline
    judge: Judge | None = None
    _stops: dict[str, Event] = field(default_factory=dict)
    _folder: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)

    def __post_init__(self) -> None:
        """Leave the progress to the page."""
        self.pipe.set_progress_bar_config(disable=True)

    def read(self, photo: str) -> tuple[Reading, list[tuple[Image.Image, str]]]:
        """Read a photo; return also the photo, and where the queries look.

        Raises:
            UserError: If it cannot be used.
        """
        image = open_photo(photo)
        (reading,) = self.pipe.read(image)
        shown = [(image, "your photo")]
        for kind in ("scene", "object"):
            maps = getattr(reading, f"{kind}_attention")
            if len(maps):
                shown.append((attention_picture(image, maps), f"where the {kind} queries look"))
        return reading, shown

    def stop(self, window: str) -> None:
        """Let the window's work end at its next step."""
        if window in self._stops:
            self._stops[window].set()

    def paint(
        self, window: str, progress: Progress, emotion: Emotion | None, **how: Any
    ) -> Painted:
        """Paint pictures, as :meth:`UniEmoPipeline.__call__` does.

        Raises:
            UserError: If an argument is wrong.
            Stopped: If the window has asked for it.
        """
        steps = how["num_inference_steps"]
        callback = self._steps(window, progress, steps)
        return self._shown(self.pipe(emotion, callback_on_step_end=callback, **how))

    def edit(
        self, window: str, progress: Progress, photo: str, emotion: Emotion, **how: Any
    ) -> Painted:
        """Edit a photo, as :meth:`UniEmoPipeline.edit` does.

        Raises:
            UserError: If an argument is wrong.
            Stopped: If the window has asked for it.
        """
        steps = max(1, round(how["num_inference_steps"] * how["strength"]))
        callback = self._steps(window, progress, steps)
        return self._shown(self.pipe.edit(photo, emotion, callback_on_step_end=callback, **how))

    def _steps(self, window: str, progress: Progress, steps: int) -> StepCallback:
        """Return what is called after each step."""
        stop = self._stops[window] = Event()

        def on_step_end(
            pipe: UniEmoPipeline, step: int, timestep: int, tensors: dict[str, Any]
        ) -> dict[str, Any]:
            if stop.is_set():
                raise Stopped
            progress((step + 1) / steps)
            return {}

        return on_step_end

    def _shown(self, output: UniEmoPipelineOutput) -> Painted:
        assert isinstance(output.images, list)
        verdicts = self._verdicts(output.images)
        folder = Path(tempfile.mkdtemp(dir=self._folder.name))
        gallery, words = [], []
        for i, (image, verdict) in enumerate(zip(output.images, verdicts, strict=True)):
            parts = [
                f"{name} {coefficient:.2f}"
                for name, coefficient in (
                    (output.scenes[i], output.scene_coefficients[i]),
                    (output.objects[i], output.object_coefficients[i]),
                )
                if name
            ]
            gallery.append((image, "\n".join([*parts, *([verdict] if verdict else [])])))
            path = folder / f"word_{i:03d}.safetensors"
            write_word(path, output.words[i])
            words.append(str(path))
        return Painted(gallery, words)

    @torch.no_grad()
    def _verdicts(self, images: list[Image.Image]) -> list[str]:
        """Return what the judge says of each picture."""
        if self.judge is None:
            return [""] * len(images)
        p, label = self.judge(torch.stack(list(map(to_image, images)))).emotion.softmax(1).max(1)
        names = self.pipe.emotions.names
        return [
            f"judge: {names[e]} {q:.0%}" for e, q in zip(label.tolist(), p.tolist(), strict=True)
        ]


def blended(first: str, second: str | None, share: float) -> Emotion:
    """Return the blend of two emotions, ``share`` of it the second.

    Raises:
        UserError: If there is no emotion.
    """
    if not first:
        raise UserError("no emotion is chosen; choose one, or click on the wheel")
    if not second or second == first or share == 0:
        return first
    return {first: 1 - share, second: share}
