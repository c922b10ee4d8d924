"""What does the emotion's feature say of scene and object by itself?

Validation pictures are read and painted again from their own features, and pretrained CLIP names
scene and object of the paintings. Where a part of the training split got fewer steps than all of it
would, models that got as many tell a lack of pictures from a lack of steps.

Legend: B pictures of a batch, H their side, K names, E width of CLIP's joint space.
"""

import gc
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor
from torch.nn import functional as F

from uniemo.curriculum.checkpoints import BEST
from uniemo.diffusion import image_generator
from uniemo.emotions import N_EMOTIONS
from uniemo.errors import UserError
from uniemo.model.uniemo import UniEmo
from uniemo.study import structure
from uniemo.study.measuring import TrialEvaluator
from uniemo.study.plan import Trial
from uniemo.study.records import Arm, Numbers, settings_of
from uniemo.study.runs import fit, joint

ARMS = ("real", "default", "withheld", "zero")
LONG = ("long", "long_zero")
"""Arms of as many steps as on the whole training split."""


def records(trial: Trial) -> dict[str, Arm]:
    """Return the arms of a trial; what got all steps anyway is not trained for longer."""
    groups, images = ("model", "data", "trainer", "eval"), trial.profile.images
    arms = {}
    for arm in (*ARMS, *(LONG if trial.scale.training < 1 else ())):
        settings = settings_of(trial.read(*changes(trial, arm)), *groups, arm=arm, images=images)
        arms[arm] = Arm.of(trial, f"guidance/{arm}", settings)
    return arms


def run(trial: Trial, pending: dict[str, Arm]) -> None:
    """Run some arms of a trial."""
    evaluator = TrialEvaluator(trial, joint(trial))
    exam = NamingEvaluator(evaluator)
    for arm, record in pending.items():
        if arm == "real":
            record.finish(exam.real())
            continue
        module = (
            UniEmo.from_checkpoint(checkpoint(trial, arm)).to(evaluator.experiment.device).eval()
        )
        if arm == "withheld":
            module.fusion.coefficients = "zero"
        # Emo-A anew, though other groups know some: a table's arms are to be of one machine.
        record.finish({**exam.painted(module), "emo_a": evaluator.measure(module)["emo_a"]})
        del module
        gc.collect()


def changes(trial: Trial, arm: str) -> list[str]:
    """Return what an arm's training changes, as ``--key value``."""
    changed = structure.changes(trial, "zero") if arm in ("zero", "long_zero") else []
    if arm in LONG:
        config, share = trial.experiment.config, trial.scale.training
        warmup = config.model.understanding_epochs
        guided = config.trainer.max_epochs - warmup
        warmup, guided = round(warmup / share), round(guided / share)
        changed += ["--model.understanding_epochs", str(warmup)]
        changed += ["--trainer.max_epochs", str(warmup + guided)]
    return changed


def checkpoint(trial: Trial, arm: str) -> Path:
    """Return the checkpoint that an arm paints with; it is trained if it is not there."""
    if arm in LONG:
        fit(trial, f"guidance/{arm}", changes(trial, arm))
        return trial.folder / "guidance" / arm / BEST
    return structure.checkpoint(trial, "zero" if arm == "zero" else "default")


class NamingEvaluator:
    """Validation pictures of a known scene and object, and whether CLIP finds both in a painting.

    Args:
        easel: The trial's.

    Raises:
        UserError: If no validation picture has both annotations.
    """

    def __init__(self, evaluator: TrialEvaluator) -> None:
        self.device, self.clip = evaluator.experiment.device, evaluator.yardstick.clip
        wanted = evaluator.per_emotion * N_EMOTIONS
        self.batches: list[dict[str, Tensor]] = []
        for batch in evaluator.data.val_dataloader():
            known = (batch["scene"] >= 0) & batch["objects"].any(1)  # [B]
            rows = known.nonzero()[:wanted, 0]
            if len(rows):
                tensors = {name: it for name, it in batch.items() if isinstance(it, Tensor)}
                self.batches.append({name: it[rows] for name, it in tensors.items()})
            wanted -= len(rows)
            if not wanted:
                break
        if not self.batches:
            raise UserError(
                f"no validation picture in {evaluator.data.root} has both a scene and an object; "
                "annotate some"
            )
        config, backbone = evaluator.module.clip_config, evaluator.module.backbone
        self.scenes, self.objects = (
            backbone.encode_names(names, template).to(self.device)  # [K, E]
            for names, template in (
                (evaluator.data.scene_names, config.scene_template),
                (evaluator.data.object_names, config.object_template),
            )
        )

    def real(self) -> Numbers:
        """Return how often CLIP names ``scene`` and ``object`` of the pictures themselves."""
        return self.named([(batch["diffusion_image"] + 1) / 2 for batch in self.batches])

    @torch.no_grad()
    def painted(self, module: UniEmo) -> Numbers:
        """Return the same for the pictures that a model paints from theirs, and its ``theta``."""
        images, losses = [], []
        for batch in track(self.batches, "Painting again", transient=True):
            reading = module.read(batch["clip_image"].to(self.device))
            condition = module.fuse(reading, batch["emotion"].to(self.device))
            latent = module.diffusion.encode(batch["diffusion_image"].to(self.device))
            losses.append(module.theta_losses(condition, latent, batch["index"], -1))
            generators = [image_generator(module.seed, 0, row) for row in batch["index"].tolist()]
            images.append(module.paint(condition, generators))
        return {**self.named(images), "theta": torch.cat(losses).mean().item()}

    def named(self, images: list[Tensor]) -> Numbers:
        """Return how often CLIP names ``scene`` and ``object`` of the pictures' stand-ins.

        Args:
            images: [B, 3, H, H] in [0, 1] for each batch.
        """
        scene, object_ = [], []
        for image, batch in zip(images, self.batches, strict=True):
            seen = F.normalize(self.clip(image), dim=1)  # [B, E]
            scene.append((seen @ self.scenes.T).argmax(1).cpu() == batch["scene"])
            nearest = (seen @ self.objects.T).argmax(1).cpu()  # [B]
            object_.append(batch["objects"].gather(1, nearest[:, None])[:, 0])
        return {
            "scene": torch.cat(scene).float().mean().item(),
            "object": torch.cat(object_).float().mean().item(),
        }
