"""Does CLIP name the scene and object of an image that is generated from another one?

Legend: B images of a batch, H their side, K names, E width of CLIP's joint space.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from uniemo.diffusion import image_generator
from uniemo.errors import UserError
from uniemo.model import UniEmo
from uniemo.study.evaluators import TrialEvaluator
from uniemo.study.ledger import Numbers
from uniemo.utils.progress import track


class NamingEvaluator:
    """Validation images of a known scene and object, and their names by pretrained CLIP.

    Args:
        evaluator: The trial's.

    Raises:
        UserError: If no validation image has both annotations.
    """

    def __init__(self, evaluator: TrialEvaluator) -> None:
        self.device, self.clip = evaluator.device, evaluator.clip
        missing = evaluator.per_emotion * len(evaluator.data.emotions)
        self.batches: list[dict[str, Tensor]] = []
        for batch in evaluator.data.val_dataloader():
            known = (batch["scene"] >= 0) & batch["objects"].any(1)  # [B]
            rows = known.nonzero()[:missing, 0]
            if len(rows):
                tensors = {name: it for name, it in batch.items() if isinstance(it, Tensor)}
                self.batches.append({name: it[rows] for name, it in tensors.items()})
            missing -= len(rows)
            if not missing:
                break
        if not self.batches:
            raise UserError(
                f"no validation image in {evaluator.data.root} has both a scene and an object; "
                "annotate some"
            )
        config, data = evaluator.module.settings.clip, evaluator.data
        encode = evaluator.module.understanding.backbone.encode_names
        self.scenes = encode(data.scene_names, config.scene_template).to(self.device)  # [K, E]
        self.objects = encode(data.object_names, config.object_template).to(self.device)

    def real(self) -> Numbers:
        """Return how often CLIP names ``scene`` and ``object`` of the real images."""
        return self._named([(batch["diffusion_image"] + 1) / 2 for batch in self.batches])

    @torch.no_grad()
    def generated(self, module: UniEmo) -> Numbers:
        """Return the same for images that a model generates from them, and its ``theta``."""
        images, losses = [], []
        for batch in track(self.batches, "Generating again"):
            reading = module.read(batch["clip_image"].to(self.device))
            condition = module.fuse(reading, batch["emotion"].to(self.device))
            latent = module.painter.diffusion.encode(batch["diffusion_image"].to(self.device))
            draw = module.noise.draw(batch["index"].to(self.device), epoch=-1)
            losses.append(module.noise_prediction_losses(condition, latent, draw))
            seed, rows = module.settings.seed, batch["index"].tolist()
            generators = [image_generator(seed, 0, row) for row in rows]
            images.append(module.painter.paint(condition, generators))
        return {**self._named(images), "theta": torch.cat(losses).mean().item()}

    def _named(self, images: list[Tensor]) -> Numbers:
        """Return the shares of right names, of images [B, 3, H, H] in [0, 1] for each batch."""
        scene_hits, object_hits = [], []
        for image, batch in zip(images, self.batches, strict=True):
            features = F.normalize(self.clip(image), dim=1)  # [B, E]
            scene_hits.append((features @ self.scenes.T).argmax(1).cpu() == batch["scene"])
            nearest = (features @ self.objects.T).argmax(1).cpu()  # [B]
            object_hits.append(batch["objects"].gather(1, nearest[:, None])[:, 0])
        return {
            "scene": torch.cat(scene_hits).float().mean().item(),
            "object": torch.cat(object_hits).float().mean().item(),
        }
