"""The two passes over the training split that every fit makes: latents before, emotion space after.

Both read images without augmentation, the processes sharing them out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from uniemo.batch import Features
from uniemo.diffusion import LatentCache, NoiseSource, latent_fingerprint
from uniemo.model.saving import BestCheckpoint
from uniemo.utils.data import EmotionData
from uniemo.utils.progress import track


@dataclass(frozen=True)
class JointInputs:
    """Latent, noise and timestep of training images, looked up and drawn in a loader's workers."""

    cache: LatentCache
    noise: NoiseSource

    def __call__(self, index: Tensor, flipped: Tensor, epoch: int) -> dict[str, Tensor]:
        """Return them; see :data:`uniemo.utils.data.DiffusionInputs`."""
        return {"latent": self.cache.lookup(index, flipped)} | self.noise.draw(
            index, epoch
        )._asdict()


class LatentPass(Callback):
    """Encode every training image and its mirror image, once, before the first joint epoch.

    The latents stay on disk: another run on the same images and autoencoder finds them. The data
    module's loader brings them in the batches of joint epochs, with the noise to add.
    """

    cache: LatentCache | None = None

    def on_fit_start(self, trainer: Trainer, module: Any) -> None:
        """Open the cache for the data module, before its loader starts any worker."""
        data: EmotionData = trainer.datamodule  # type: ignore[attr-defined]
        head, last = module.head, trainer.max_epochs or 0
        if head is None or 0 <= last <= module.settings.understanding_epochs:
            return
        what = (
            Path(module.settings.cache).expanduser(),
            latent_fingerprint(head.vae, head.image_size, data.fingerprint("train")),
            len(data.annotations("train").emotion),
            head.latent_shape,
        )
        for first in (True, False):  # makes it, if it is missing or broken
            if trainer.is_global_zero == first:
                self.cache = LatentCache(*what)
            trainer.strategy.barrier("latent cache")
        assert self.cache is not None
        noise = NoiseSource.of(head, module.settings.seed)
        data.diffusion_inputs = JointInputs(self.cache, noise)

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Fill the cache also where a fit goes on within a joint epoch."""
        self.on_train_epoch_start(trainer, module)

    def on_train_epoch_start(self, trainer: Trainer, module: Any) -> None:
        """Fill the cache if this epoch needs it."""
        cache, data = self.cache, trainer.datamodule  # type: ignore[attr-defined]
        if cache is None or module.stage != "joint":
            return
        rows = cache.missing_rows(trainer.global_rank, trainer.world_size)
        if rows:
            loader = data.plain_dataloader("train", rows)
            images = ((b["index"], b["diffusion_image"]) for b in loader)
            batches = ((index, image.to(module.device)) for index, image in images)
            text = f"Encoding {len(rows):,} images and their mirror images, once"
            shown = track(batches, text, len(loader)) if trainer.is_global_zero else batches
            cache.fill(module.head.encode, shown)
        trainer.strategy.barrier("latents")


class EmotionSpacePass(Callback):
    """After training, fit the emotion space with the best weights and add it to their checkpoint.

    A space must belong to the weights that it was fitted with, so it cannot be gathered while they
    still change. Where the trainer keeps no checkpoint, the last weights are the best.
    """

    ended = False

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Empty the space: checkpoints hold one only after the pass."""
        module.painter.space.reset()

    def on_fit_end(self, trainer: Trainer, module: Any) -> None:
        """Make up for a pass that was interrupted.

        A fit that goes on after its last step trains nothing, and Lightning then skips the end of
        training.
        """
        if trainer.ckpt_path is not None and not self.ended:
            module.to(trainer.strategy.root_device)
            self.on_train_end(trainer, module)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        """Restore the best weights, fit, and save."""
        self.ended = True
        if module.head is None or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        best = trainer.strategy.broadcast(best_checkpoint(trainer))
        if best:
            checkpoint = torch.load(best, map_location="cpu", weights_only=True)
            module.load_state_dict(checkpoint["state_dict"])
            if module.painter.space.moments.count.all():
                return  # the pass has been made
        fit_emotion_space(module, trainer)
        if best and trainer.is_global_zero:
            checkpoint["state_dict"] = module.state_dict()
            trainer.strategy.checkpoint_io.save_checkpoint(checkpoint, best)
        trainer.strategy.barrier("emotion space")


def best_checkpoint(trainer: Trainer) -> str:
    """Return the file of the checkpoint that the emotion space belongs to; empty if there is none.

    That of :class:`BestCheckpoint`; without one, the best of a monitored metric, or the newest.
    """
    callbacks: list[Any] = trainer.checkpoint_callbacks
    written = [callback for callback in callbacks if callback.best_model_path]
    written.sort(key=lambda c: (not isinstance(c, BestCheckpoint), c.monitor is None))
    return written[0].best_model_path if written else ""


@torch.inference_mode()
def fit_emotion_space(module: Any, trainer: Trainer) -> None:
    """Fit a module's emotion space to the training split; equal on every process."""
    data: EmotionData = trainer.datamodule  # type: ignore[attr-defined]
    space, training = module.painter.space, module.training
    module.eval()
    space.reset()
    loader = data.plain_dataloader("train")
    batches: Iterable[Any] = loader
    if trainer.is_global_zero:
        batches = track(loader, "Fitting the emotion space", len(loader))
    for batch in batches:
        image: Tensor = batch["clip_image"].to(module.device)
        with trainer.precision_plugin.forward_context():
            features = module.read(image).features
        space.update(
            Features(*(f.float() for f in features)),
            batch["emotion"].to(module.device),
            batch["index"].to(module.device),
        )
    space.synchronise()
    module.train(training)
