"""Pools to finetune on: filtered candidates, or rows of a real training split.

Legend: N images of a pool, M real images, V validation images, E width of CLIP's image features,
C emotions.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from statistics import fmean
from typing import Any, NamedTuple

import pyarrow
import torch
from torch import Tensor

from uniemo.curriculum.image_writer import plan_requests, read_generated
from uniemo.curriculum.pool import ImageReader, encode_pool, write_pool
from uniemo.evaluation.evaluator import Evaluator
from uniemo.evaluation.image_sources import BASELINE_PROMPT
from uniemo.filtering import Selection, score, unit
from uniemo.filtering.filter import emotion_budget
from uniemo.metrics.density_coverage import neighbour_scores
from uniemo.model import UniEmo, load_model
from uniemo.study.ledger import Numbers
from uniemo.study.runs import joint
from uniemo.study.trial import Trial
from uniemo.understanding import load_clip
from uniemo.utils.emoset_files import read_split, write_split
from uniemo.utils.sources import resolve
from uniemo.vision.images import read_image


class RealRows(NamedTuple):
    """Some rows of a real training split."""

    data: Any  # a data module on the whole of that split
    rows: list[int]  # M of them
    features: Tensor  # [M, E] of the frozen CLIP
    emotion: Tensor  # [M]


class CandidatePool:
    """The candidates of a trial and its real images, encoded once for all arms.

    Args:
        trial: The trial; its generate phase must be done.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        experiment = trial.experiment
        config, folder = experiment.generate, experiment.folder / "generate"
        self.config = config.filter
        checkpoint = joint(trial).checkpoint
        self.module = load_model(checkpoint).to(experiment.device)
        self.data = experiment.data(self.module.clip_view, None)
        table = read_generated(folder, plan_requests(self.module, config))
        paths = [str((folder / path).resolve()) for path in table["image"].to_pylist()]
        column = table.schema.get_field_index("image")
        self.table = table.set_column(column, "image", pyarrow.array(paths))
        cache, device = experiment.cache, experiment.device
        encoded = encode_pool(
            self.module, self.data, self.table, folder, config.verifier, cache, device
        )
        self.target = encoded.candidates.target  # [N]
        probability = zero_shot(self.module, encoded.readings.features, self.target)
        candidates = replace(encoded.candidates, clip_probability=probability)
        self.encoded = encoded._replace(candidates=candidates)
        self.reader = ImageReader(self.module, self.data, cache, device)
        self.validation = self.reader.real("val")
        self.scores = score(candidates, encoded.reference, self.config)
        self.recognised = self._recognised()

    def _recognised(self) -> Tensor:
        """Return whether the evaluation's judge predicts each candidate's target, [N] bool."""
        head, experiment = self.module.painter.diffusion, self.trial.experiment
        data = experiment.data(self.module.clip_view, head.image_size)
        judge = Evaluator(experiment, data, head).judge
        paths = [Path(path) for path in self.table["image"].to_pylist()]
        size = experiment.evaluation.batch_size
        predictions = []
        for start in range(0, len(paths), size):
            images = [read_image(path, head.image_size) for path in paths[start : start + size]]
            with torch.inference_mode():
                logits = judge(torch.stack(images).to(experiment.device)).emotion  # [B, C]
            predictions.append(logits.argmax(1).cpu())
        return torch.cat(predictions) == self.target

    def filtered(self, keep: Callable[..., Selection]) -> Selection:
        """Return what a filter of :mod:`uniemo.filtering` keeps of the candidates."""
        return keep(self.encoded.candidates, self.encoded.reference, self.config, self.scores)

    def write_generated(self, selection: Selection, folder: Path) -> Numbers:
        """Write what a filter kept as a folder in EmoSet's layout, and measure it."""
        folder.mkdir(parents=True, exist_ok=True)
        write_pool(self.table, self.encoded, selection, self.module, folder)
        kept = selection.kept
        features = self.encoded.candidates.features[kept]
        return {
            "kept": float(len(features)),
            "coverage": self._coverage(features, self.target[kept]),
            "emo_a": self.recognised[kept].float().mean().item(),
        }

    def own_rows(self) -> RealRows:
        """Return the real rows that the trial trains on."""
        whole, own = self._whole_split(self.data.root), set(self.data.image_ids("train"))
        rows = [row for row, name in enumerate(whole.image_ids("train")) if name in own]
        reference = self.encoded.reference
        return RealRows(whole, rows, reference.features, reference.emotion)

    def further_rows(self) -> RealRows | None:
        """Return rows that the trial does not train on, up to each emotion's budget, if any."""
        if self.trial.fraction < 1:
            whole, own = self._whole_split(self.data.root), set(self.data.image_ids("train"))
        elif self.trial.more_real is not None:
            whole, own = self._whole_split(self.trial.more_real), set()
        else:
            return None
        budget = emotion_budget(self.encoded.candidates, self.config)
        free = torch.tensor([name not in own for name in whole.image_ids("train")])  # [M]
        emotion = whole.annotations("train").emotion  # [M]
        generator = torch.Generator().manual_seed(self.trial.seed)
        order = torch.randperm(len(emotion), generator=generator)  # [M]
        rows: list[int] = []
        for label in range(len(self.data.emotions)):
            rows += order[(free & (emotion == label))[order]][:budget].tolist()
        rows.sort()
        return RealRows(whole, rows, *self._features(whole, rows))

    def write_real(self, real: RealRows | None, folder: Path) -> Numbers:
        """List real rows by absolute paths as a folder in EmoSet's layout, and measure them.

        Raises:
            UserError: If they are not in that layout themselves.
        """
        if real is None:
            return {"kept": None, "coverage": None}
        root = Path(real.data.root).expanduser().resolve()
        listed = read_split(root, "train", real.data.emotions)
        folder.mkdir(parents=True, exist_ok=True)
        copyfile(root / "info.json", folder / "info.json")
        write_split(folder, "train", [listed[row].absolute(root) for row in real.rows])
        coverage = self._coverage(real.features, real.emotion)
        return {"kept": float(len(real.rows)), "coverage": coverage}

    def _whole_split(self, root: str | Path) -> Any:
        """Return a data module on the whole training split of a folder."""
        changes = {"data.init_args.root": root, "data.init_args.fraction": 1.0}
        return self.trial.changed(changes).experiment.data(self.module.clip_view, None)

    @torch.inference_mode()
    def _features(self, data: Any, rows: list[int]) -> tuple[Tensor, Tensor]:
        """Return frozen CLIP's features [M, E] and the emotions [M] of real rows."""
        clip, device = self.reader.clip, self.reader.device
        parts = [
            (clip.network(clip.view.images(batch).to(device)).cpu(), batch["emotion"])
            for batch in data.plain_dataloader("train", rows)
        ]
        features, emotion = (torch.cat(column) for column in zip(*parts, strict=True))
        return features, emotion

    def _coverage(self, features: Tensor, emotion: Tensor) -> float:
        """Return the share of validation images that features [N, E] cover, mean over emotions.

        It is NaN if no emotion has more validation images than neighbours.
        """
        shares = []
        for label in range(len(self.data.emotions)):
            real = unit(self.validation.features[self.validation.emotion == label])  # [V, E]
            if len(real) > self.config.neighbours:
                own = unit(features[emotion == label])  # [N, E]
                scores = neighbour_scores(real, own, self.config.neighbours)
                shares.append(scores.coverage.item() if len(own) else 0.0)
        return fmean(shares) if shares else float("nan")


def zero_shot(module: UniEmo, features: Tensor, target: Tensor) -> Tensor:
    """Return the frozen CLIP's own p(target) [N] of image features [N, E], by its text tower."""
    config = module.settings.clip
    clip = load_clip(resolve(config.model), config.pretrained)
    text = clip.encode_names(module.emotions.names, BASELINE_PROMPT)  # [C, E]
    logits = clip.model.logit_scale.exp().detach() * unit(features) @ text.T  # [N, C]
    return logits.softmax(dim=1).gather(1, target[:, None])[:, 0]
