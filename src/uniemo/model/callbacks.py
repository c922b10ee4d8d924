"""The two passes over the training split that a fit makes: latents before, emotion space after.

Both read pictures plainly, the ranks sharing them out.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning import Callback, Trainer
from rich.progress import track
from torch import Tensor

from uniemo.curriculum.checkpoints import best_path
from uniemo.diffusion import LatentCache, latent_fingerprint

if TYPE_CHECKING:
    from uniemo.model.uniemo import UniEmo


class LatentPass(Callback):
    """Encode every training picture and its mirror image, once, before the first joint epoch.

    The latents stay on disk: another run on the same pictures and autoencoder finds them.
    """

    def on_train_start(self, trainer: Trainer, module: "UniEmo") -> None:  # type: ignore[override]
        """Open the cache, also where a fit goes on within a joint epoch."""
        self.on_train_epoch_start(trainer, module)

    def on_train_epoch_start(self, trainer: Trainer, module: "UniEmo") -> None:  # type: ignore[override]
        """Fill the cache if this epoch is the first that needs it."""
        if module.stage != "joint" or module.latents is not None:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        head = module.diffusion
        cache = LatentCache(
            Path(module.hparams["cache"]).expanduser(),
            latent_fingerprint(head.vae, head.image_size, data.fingerprint("train")),
            len(data.annotations("train").emotion),
            head.latent_shape,
        )
        rows = cache.missing_rows(trainer.global_rank, trainer.world_size)
        if rows:
            loader = data.plain_dataloader("train", rows)
            pictures = ((b["index"], b["diffusion_image"]) for b in loader)
            batches = ((index, image.to(head.device)) for index, image in pictures)
            shown = track(
                batches,
                description=f"Encoding {len(rows):,} pictures and their mirror images, once",
                total=len(loader),
                disable=trainer.global_rank > 0,
            )
            cache.fill(head.encode, shown)
        trainer.strategy.barrier("latents")
        module.latents = cache


class EmotionSpacePass(Callback):
    """After training, measure the emotion space with the best weights and add it to their file.

    A space must belong to the weights it was measured with, so it cannot be gathered while they
    still move.
    """

    def on_train_end(self, trainer: Trainer, module: "UniEmo") -> None:  # type: ignore[override]
        """Restore the best weights, measure, and save."""
        best = trainer.strategy.broadcast(best_path(trainer))
        if module.head is None or not best:
            return
        checkpoint = torch.load(best, map_location="cpu", weights_only=True)
        module.load_state_dict(checkpoint["state_dict"])
        measure_space(module, trainer)
        if trainer.is_global_zero:
            checkpoint["state_dict"] = module.state_dict()
            part = Path(best).with_suffix(".part")
            torch.save(checkpoint, part)
            part.replace(best)
        trainer.strategy.barrier("emotion space")


@torch.inference_mode()
def measure_space(module: "UniEmo", trainer: Trainer) -> None:
    """Fill a module's emotion space from the training split; equal on every process."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    training = module.training
    module.eval()
    module.space.reset()
    loader = data.plain_dataloader("train")
    for batch in track(
        loader, description="Measuring the emotion space", disable=trainer.global_rank > 0
    ):
        image: Tensor = batch["clip_image"].to(module.device)
        with trainer.precision_plugin.forward_context():
            features = module.read(image).features
        module.space.update(
            type(features)(*(f.float() for f in features)),
            batch["emotion"].to(module.device),
            batch["index"].to(module.device),
        )
    module.space.synchronise()
    module.train(training)
