"""The work that is measured: steps of this package and of the public procedure, on random images.

Legend: B images, h side of CLIP's view and H of the diffusion view in pixels, N images of a split.
"""

import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from uniemo.batch import Annotations, Batch
from uniemo.benchmark.measuring import Work, synchronise
from uniemo.benchmark.public_procedure import PublicProcedure
from uniemo.config.experiment import Experiment
from uniemo.diffusion import NoiseSource, noise_prediction_loss
from uniemo.emotions import N_EMOTIONS
from uniemo.fusion import Condition
from uniemo.model import UniEmo, build_model
from uniemo.model.compilation import compile_networks
from uniemo.model.optimizer import adamw, parameter_groups, trained_parameters

SCENES, OBJECTS = 254, 409  # of EmoSet
NO_CLIPPING = 1e9


class Workloads:
    """Models of an experiment, and what can be measured of them.

    Args:
        experiment: Its settings of model, batch size and precision are used; its data are not read.
        device: Where the work is done.
    """

    def __init__(self, experiment: Experiment, device: torch.device) -> None:
        warnings.filterwarnings("ignore", module="lightning")  # there is no trainer to log to
        self.experiment, self.device = experiment, device
        self.batch_size: int = experiment.config.data.init_args.batch_size
        half = experiment.precision.startswith("bf16")
        self.dtype = torch.bfloat16 if half else torch.float32
        self.ours = self._build(experiment)
        if experiment.model.compile and device.type == "cuda":
            compile_networks(self.ours.understanding.chain, self.ours.head)
        published = torch.float16 if device.type == "cuda" else self.dtype
        plain = experiment.changed({"model.diffusion.dtype": "float32"})
        self.plain = PublicProcedure(self._build(plain), published)

    def _build(self, experiment: Experiment) -> UniEmo:
        torch.manual_seed(0)
        model = build_model(replace(experiment.model, understanding_epochs=0))
        generator = torch.Generator().manual_seed(1)
        annotations = Annotations(
            torch.arange(4096) % N_EMOTIONS,
            torch.randint(SCENES, (4096,), generator=generator),
            torch.rand(4096, OBJECTS, generator=generator) < 0.01,
        )
        names = [f"scene {i}" for i in range(SCENES)], [f"object {i}" for i in range(OBJECTS)]
        model.fill_bases(annotations, *names)
        return model.to(self.device).train()

    def batch(self, n: int) -> Batch:
        """Return n random images with what a loader brings with them."""
        generator = torch.Generator().manual_seed(2)
        side, latent = self.ours.clip_view[0], self.ours.painter.diffusion.latent_shape
        size, index = self.ours.painter.diffusion.image_size, torch.arange(n)
        noise, timestep = self.ours.noise.draw(index, epoch=0)
        tensors = {
            "clip_image": torch.randn(n, 3, side, side, generator=generator),
            "diffusion_image": torch.rand(n, 3, size, size, generator=generator) * 2 - 1,
            "latent": torch.randn(n, *latent, generator=generator),
            "noise": noise,
            "timestep": timestep,
            "emotion": index % N_EMOTIONS,
            "scene": torch.randint(SCENES, (n,), generator=generator),
            "objects": torch.rand(n, OBJECTS, generator=generator) < 0.01,
            "index": index,
            "generated": torch.zeros(n, dtype=torch.bool),
        }
        return {name: value.to(self.device) for name, value in tensors.items()}  # type: ignore[return-value]

    # --- Training --------------------------------------------------------------------------------

    def _step(self, batch: Batch, stage: str) -> Callable[[], None]:
        """Return a step as the trainer takes it, for a stage of the fit."""
        model, rates = self.ours, self.ours.settings.optimizer
        stages = rates.understanding, rates.joint
        optimizer = adamw(parameter_groups(model, rates, stages), self.device.type == "cuda")
        for group in optimizer.param_groups:
            group["lr"] = 1e-6
        trained = [parameter for *_, parameter in trained_parameters(model)]

        def step() -> None:
            model.settings.understanding_epochs = int(stage == "understanding")
            model.on_train_epoch_start()
            with torch.autocast(self.device.type, self.dtype, self.dtype != torch.float32):
                loss = model.training_step(batch, 0)
            loss.backward()
            nn.utils.clip_grad_norm_(trained, NO_CLIPPING)
            optimizer.step()
            optimizer.zero_grad()

        return step

    def understanding(self) -> list[Work]:
        """A step on L_U, with the visual tower."""
        batch, n = self.batch(self.batch_size), self.batch_size
        return [
            Work("ours", self._step(batch, "understanding"), n),
            Work("public", lambda: self.plain.understand(batch), n),
        ]

    def joint(self) -> list[Work]:
        """A step on L_joint: a batch of ours, an image of theirs."""
        batch, n = self.batch(self.batch_size), self.batch_size
        return [
            Work("ours", self._step(batch, "joint"), n),
            Work("public", lambda: self.plain.joint(batch), 1),
        ]

    def joint_batches(self) -> list[Work]:
        """A joint step on 1, 2 and 4 times a quarter of the batch size."""
        sizes = [max(1, self.batch_size // 4) * factor for factor in (1, 2, 4)]
        return [Work(f"{n} images", self._step(self.batch(n), "joint"), n) for n in sizes]

    def joint_pixels(self) -> list[Work]:
        """L(theta) and its gradient on latents of 1, 2 and 4 times the pixels."""
        head, n = self.ours.painter.diffusion, max(1, self.batch_size // 8)
        c, h, w = head.latent_shape
        word = torch.zeros(n, head.width, device=self.device)

        def work(height: int, width: int) -> Work:
            shape: Any = (c, height, width)
            steps = head.scheduler.config.num_train_timesteps
            draw = NoiseSource(shape, steps, 0).draw(torch.arange(n, device=self.device), 0)

            def run() -> None:
                with torch.autocast(self.device.type, self.dtype, self.dtype != torch.float32):
                    states = head.condition(word.requires_grad_(), self.ours.painter.prompt)
                    loss = noise_prediction_loss(head, draw.noise, states, draw).mean()
                torch.autograd.grad(loss, word)

            return Work(f"latents of {height} x {width}", run, n)

        return [work(h, w), work(h, 2 * w), work(2 * h, 2 * w)]

    def rate_in_trainer(self, steps: int) -> float:
        """Return the images per second of joint steps as Lightning takes them, logging included."""
        model, batch, ends = self.ours, self.batch(self.batch_size), _StepEnds(self.device)
        model.settings.understanding_epochs = 0
        batches: Any = [batch] * (steps + 1)
        model.configure_callbacks = list  # type: ignore[method-assign]  # no pass over a split
        with tempfile.TemporaryDirectory() as folder:
            lightning.Trainer(
                accelerator="gpu" if self.device.type == "cuda" else "cpu",
                devices=1,
                precision=self.experiment.precision,
                max_epochs=1,
                gradient_clip_val=NO_CLIPPING,
                logger=False,
                callbacks=[ends],
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                default_root_dir=folder,
            ).fit(model, DataLoader(batches, batch_size=None))
        model._trainer = None
        return steps * self.batch_size / (ends.times[-1] - ends.times[0])

    # --- Generation ------------------------------------------------------------------------------

    def generation(self) -> list[Work]:
        """Pictures of conditions: a batch of ours, a picture of diffusers' pipeline."""
        painter, n = self.ours.painter, self.ours.painter.sampling.batch_size
        word = torch.randn(n, painter.diffusion.width, device=self.device) * 0.02
        pipeline, own = self.plain.pipeline(), self.plain.head
        with torch.no_grad():
            states = own.condition(word[:1], painter.prompt)

        zeros, index = torch.zeros(n, dtype=torch.long), torch.arange(n)
        condition = Condition(word, *[torch.zeros(n)] * 4)

        @torch.no_grad()
        def paint() -> Tensor:
            with torch.autocast(self.device.type, self.dtype, self.dtype != torch.float32):
                return painter.paint(condition, painter.generators(zeros, index))

        return [
            Work("ours", paint, n),
            Work("public", lambda: self.plain.generate(pipeline, states), 1),
        ]


class _StepEnds(lightning.Callback):
    """When each step of a fit ended; the device is waited for at the first and the last alone."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.times = device, []  # type: ignore[var-annotated]

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Note the time."""
        if not self.times or trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            synchronise(self.device)
        self.times.append(time.perf_counter())
