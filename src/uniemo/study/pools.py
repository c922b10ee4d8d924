"""Pools to finetune on: filtered candidates, or rows of a real training split.

Legend: N images of a pool, M real images, V validation images, E width of CLIP's image features,
C emotions.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from shutil import copyfile
from statistics import fmean
from typing import Any, NamedTuple

import pyarrow
import torch
from torch import Tensor
from torchvision.io import encode_png

from uniemo.batch import Batch
from uniemo.curriculum.image_writer import plan_requests, read_generated
from uniemo.curriculum.pool import ImageReader, encode_pool, write_pool
from uniemo.diffusion import image_generator
from uniemo.evaluation.evaluator import Evaluator
from uniemo.evaluation.image_sources import BASELINE_PROMPT
from uniemo.filtering import Selection, score, unit
from uniemo.filtering.filter import emotion_budget
from uniemo.metrics.density_coverage import neighbour_scores
from uniemo.model import UniEmo, load_model
from uniemo.study.controls import one_hot
from uniemo.study.ledger import Numbers
from uniemo.study.runs import generate, joint
from uniemo.study.trial import Trial
from uniemo.understanding import load_clip
from uniemo.utils.emoset_files import read_split, write_split
from uniemo.utils.files import write_bytes
from uniemo.utils.sources import resolve
from uniemo.vision.images import read_image
from uniemo.vision.linear_probe import fit_linear_probe


class RealRows(NamedTuple):
    """Some rows of a real training split."""

    data: Any  # a data module on the whole of that split
    rows: list[int]  # M of them
    features: Tensor  # [M, E] of the frozen CLIP
    emotion: Tensor  # [M]


class CandidatePool:
    """The candidates of a trial and its real images, encoded once for all arms.

    Args:
        trial: The trial; its generate phase is run unless it is done.
        checkpoint: The model that generates and reads them; by default the trial's joint one.
        student: A finetuned model that reads them in its place.
    """

    def __init__(
        self, trial: Trial, checkpoint: Path | None = None, student: Path | None = None
    ) -> None:
        self.trial = trial
        checkpoint = checkpoint or joint(trial).checkpoint
        generate(trial, checkpoint)
        experiment = trial.experiment
        config, folder = experiment.generate, experiment.folder / "generate"
        self.config = config.filter
        self.module = load_model(checkpoint).to(experiment.device)
        if student is not None:
            tuned = load_model(student).state_dict()
            reads = ("understanding.", "fusion.evidence.")
            own = {name: tuned[name] for name in tuned if name.startswith(reads)}
            self.module.load_state_dict(self.module.state_dict() | own)
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

    @cached_property
    def recognised(self) -> Tensor:
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

    def filtered(self, keep: Callable[..., Selection], budget: int | None = None) -> Selection:
        """Return what a filter of :mod:`uniemo.filtering` keeps of the candidates.

        Args:
            keep: The filter.
            budget: Images of each emotion; by default the experiment's.
        """
        config = self.config if budget is None else replace(self.config, budget=budget)
        return keep(self.encoded.candidates, self.encoded.reference, config, self.scores)

    def write_generated(self, selection: Selection, folder: Path) -> Numbers:
        """Write what a filter kept as a folder in EmoSet's layout, and measure it."""
        folder.mkdir(parents=True, exist_ok=True)
        write_pool(self.table, self.encoded, selection, self.module, folder)
        kept = selection.kept
        features = self.encoded.candidates.features[kept]
        coverage = self._coverage(features, self.target[kept])
        return {"kept": float(len(features)), "coverage": coverage}

    def emo_a(self, selection: Selection) -> Numbers:
        """Return how many of what a filter kept the evaluation's judge reads the target from."""
        return {"emo_a": self.recognised[selection.kept].float().mean().item()}

    @cached_property
    def confirmed(self) -> Tensor:
        """Whether a linear probe on frozen CLIP predicts each candidate's target, [N] bool."""
        real, val = self.encoded.reference, self.validation
        held_out = (val.features, val.emotion)
        probe = fit_linear_probe(real.features, real.emotion, len(self.data.emotions), held_out)
        return probe(self.encoded.candidates.features).argmax(1) == self.target

    def kept_ids(self, selection: Selection) -> list[str]:
        """Return the names of the images that a filter kept."""
        rows = selection.kept.nonzero()[:, 0].tolist()
        return [Path(self.table["image"][row].as_py()).stem for row in rows]

    def verified(self, selection: Selection) -> Tensor:
        """Return the model's calibrated p(emotion) of what a filter kept [kept, C]."""
        logits = self.encoded.candidates.logits[selection.kept].float()
        return (logits / self.encoded.reference.temperature).softmax(1)

    @torch.inference_mode()
    def beliefs(self) -> tuple[list[str], Tensor]:
        """Return the names of the trial's real images, and soft labels of them [M, C].

        Half of a label is the model's own calibrated belief.
        """
        temperature, parts = self.encoded.reference.temperature, []
        for batch in self.data.plain_dataloader("train"):
            logits = self.module(batch["clip_image"].to(self.reader.device)).float().cpu()
            belief = (logits / temperature).softmax(1)  # [B, C]
            parts.append((belief + one_hot(batch, belief.shape[1])) / 2)
        return self.data.image_ids("train"), torch.cat(parts)

    def own_rows(self) -> RealRows:
        """Return the real rows that the trial trains on."""
        whole, own = self._whole_split(self.data.root), set(self.data.image_ids("train"))
        rows = [row for row, name in enumerate(whole.image_ids("train")) if name in own]
        reference = self.encoded.reference
        return RealRows(whole, rows, reference.features, reference.emotion)

    def further_rows(self, budget: int | None = None) -> RealRows | None:
        """Return rows that the trial does not train on, if any.

        Args:
            budget: Images of each emotion; by default the filter's budget.
        """
        if self.trial.fraction < 1:
            whole, own = self._whole_split(self.data.root), set(self.data.image_ids("train"))
        elif self.trial.more_real is not None:
            whole, own = self._whole_split(self.trial.more_real), set()
        else:
            return None
        budget = budget or emotion_budget(self.encoded.candidates, self.config)
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

    @torch.inference_mode()
    def write_remade(
        self, real: RealRows | None, make: Callable[[Batch], Tensor], folder: Path
    ) -> Numbers:
        """Write real rows with images of one's own, and all that is annotated of them.

        Args:
            real: The rows, in EmoSet's layout.
            make: Returns images [B, 3, H, H] in [0, 1] of a batch with the diffusion view.
            folder: Where to.
        """
        numbers = self.write_real(real, folder)
        if real is not None:
            side = self.module.painter.diffusion.image_size
            changes = {"data.init_args.root": real.data.root, "data.init_args.fraction": 1.0}
            experiment = self.trial.changed(changes).experiment
            data = experiment.data(self.module.clip_view, side)
            listed = iter(read_split(folder, "train", data.emotions))
            rows = []
            for batch in data.plain_dataloader("train", real.rows):
                for image in make(batch):
                    row = next(listed)
                    path = f"image/{row.image_id}.png"
                    grey = (image * 255).round().to(torch.uint8).cpu()
                    write_bytes(folder / path, encode_png(grey).numpy().tobytes())
                    rows.append(row._replace(image=path))
            write_split(folder, "train", rows)
        return {**numbers, "coverage": None}

    def decoded(self, batch: Batch) -> Tensor:
        """Return what the autoencoder makes of a batch's images."""
        head = self.module.painter.diffusion
        return head.decode(head.encode(batch["diffusion_image"]))

    def repainted(self, batch: Batch) -> Tensor:
        """Return images that the model generates from a batch's own features and labels."""
        device, seed = self.reader.device, self.module.settings.seed
        reading = self.module.read(batch["clip_image"].to(device))
        condition = self.module.fuse(reading, batch["emotion"].to(device))
        generators = [image_generator(seed, 0, row) for row in batch["index"].tolist()]
        return self.module.painter.paint(condition, generators)

    @torch.inference_mode()
    def uncertain_rows(self, budget: int) -> RealRows:
        """Return the real rows of each emotion that the model is least certain of."""
        own, parts = self.own_rows(), []
        for batch in self.data.plain_dataloader("train"):
            logits = self.module(batch["clip_image"].to(self.reader.device)).float().cpu()
            parts.append(torch.distributions.Categorical(logits=logits).entropy())
        order = torch.cat(parts).argsort(descending=True)  # [M]
        chosen = [
            order[own.emotion[order] == label][:budget].tolist()
            for label in range(len(self.data.emotions))
        ]
        rows = sorted(row for some in chosen for row in some)
        listed = [own.rows[row] for row in rows]
        return RealRows(own.data, listed, own.features[rows], own.emotion[rows])

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
