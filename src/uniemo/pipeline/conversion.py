"""Files of the published systems: UniEmo's checkpoints as a model, EmoGen's space and classifier.

Source: the layouts of the public repositories, and docs/method.md for what the tensors compute. A
pickled file is read as tensors and plain types alone.

Legend: D width of the features, W width of a word, E width of CLIP's joint space, C emotions, F
width of EmoGen's features.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniemo.config.model import DiffusionConfig, ModelConfig, ModelSettings
from uniemo.emotions import EMOTIONS, N_EMOTIONS
from uniemo.errors import UserError, first_line
from uniemo.fusion import DiagonalGaussian
from uniemo.model import UniEmo, build_model

CHECKPOINTS = ("best.pth", "VIT_query.pth")
"""Names of UniEmo's checkpoint of understanding, as its training and its inference call it."""

SPACE = "UniEmo_space"
FEATURES = ("cls_fea", "scene", "object")
"""Names of fe, fs and fo in the files of the emotion space."""

KINDS = ("mean", "std")

BLOCK = {
    "norm": "token_norm",
    "query_decoder.0.norm1": "query_norm",
    "query_decoder.0.norm3": "mlp_norm",
    "query_decoder.0.cross_attn.q_proj": "query",
    "query_decoder.0.cross_attn.k_proj": "key",
    "query_decoder.0.cross_attn.v_proj": "value",
    "query_decoder.0.cross_attn.proj": "output",
    "query_decoder.0.mlp.0": "mlp_hidden",
    "query_decoder.0.mlp.3": "mlp_output",
}
"""Modules of an interactive block by the names of the public code."""

MAPPERS = {
    "mapper": "emotion_mapper",
    "mapper_scene": "scene_mapper",
    "mapper_object": "object_mapper",
}

Coefficients = Mapping[str, Sequence[float]]
"""p(emotion | name) of each name, C numbers."""


def published_settings() -> ModelSettings:
    """Return the settings of the public code: its form, prompt, coefficients and space."""
    return ModelSettings(
        diffusion=DiffusionConfig(prompt="*"),
        model=ModelConfig(
            coefficients="public",
            query_start="learned",
            feature_depth="own",
            smoothing=0.0,
            support=10,
            normalise=False,
        ),
    )


def convert_uniemo(
    folder: Path,
    settings: ModelSettings | None = None,
    scenes: Coefficients | None = None,
    objects: Coefficients | None = None,
    order: Sequence[str] = EMOTIONS,
) -> UniEmo:
    """Build a model from the files of UniEmo's public code.

    The folder holds ``best.pth`` (or ``VIT_query.pth``); for painting also ``mapper.pth``,
    ``mapper_scene.pth`` and ``mapper_object.pth``, and in ``UniEmo_space/`` mean and deviation of
    each emotion's features.

    Args:
        folder: The files.
        settings: Where CLIP and Stable Diffusion come from; :func:`published_settings` if None.
            Their structure must be the published one.
        scenes: p(emotion | scene) of the public code, which lies in pickles that can run programs:
            load them yourself, if you trust them. Without them no scene is retrieved, and its
            coefficient is 0.
        objects: p(emotion | object), likewise.
        order: The emotions in the order that the files number them: the classifier's rows and the
            coefficients. Training follows EmoSet's ``info.json``, as this package does; files that
            were made with another list need that list.

    Returns:
        The model, in evaluation mode.

    Raises:
        UserError: If a file is missing or of another layout.
    """
    rows = emotion_rows(order)
    settings = settings or published_settings()
    path = _first(folder, CHECKPOINTS)
    checkpoint = read_pickle(path)
    parts = checkpoint if isinstance(checkpoint, dict) else {}
    for key in ("model", "Emo_classifier"):
        if not isinstance(parts.get(key), dict):
            raise UserError(f"{path} holds no {key!r}; give a checkpoint of UniEmo's public code")
    state = understanding_state(parts["model"], parts["Emo_classifier"], rows, path)
    n_queries = len(state["understanding.chain.scene_queries.tokens"])
    model = build_model(
        replace(settings, model=replace(settings.model, n_queries=n_queries, queries="both"))
    )
    for name, own in MAPPERS.items():
        file = folder / f"{name}.pth"
        if file.is_file():
            state |= {f"fusion.{own}.{key}": t for key, t in mapper_state(file).items()}
        elif model.head is not None:
            raise UserError(f"{file} does not exist; it is needed for painting")
    _load(model, state, path)
    _fill_bases(model, scenes or {}, objects or {}, rows)
    if model.head is not None:
        _fill_space(model.painter.space, folder / SPACE)
    return model.eval()


def understanding_state(
    model: Mapping[str, Tensor], classifier: Mapping[str, Tensor], rows: list[int], path: Path
) -> dict[str, Tensor]:
    """Return the public code's tensors of understanding by this package's names.

    Args:
        model: State dict of its CLIP with queries; the text tower's tensors are left out.
        classifier: State dict of its emotion classifier.
        rows: From :func:`emotion_rows`.
        path: Of the file, for messages.

    Raises:
        UserError: If a tensor is missing.
    """
    model = {name.removeprefix("module."): tensor for name, tensor in model.items()}
    classifier = {name.removeprefix("module."): tensor for name, tensor in classifier.items()}
    state: dict[str, Tensor] = {}
    try:
        for i, kind in enumerate(("scene", "object")):
            own = f"understanding.chain.{kind}_queries"
            state[f"{own}.tokens"] = model[f"visual.visual_query_{kind}.weight"]
            theirs = f"visual.transformer.visual_query_interact.{i}"
            for there, here in BLOCK.items():
                state[f"{own}.block.{here}.weight"] = model[f"{theirs}.{there}.weight"]
                if here not in ("query", "key", "value"):
                    state[f"{own}.block.{here}.bias"] = model[f"{theirs}.{there}.bias"]
            projection = model[f"visual_query_{kind}_proj"]  # [D, E]
            state[f"understanding.{kind}_projection.linear.weight"] = projection.T
        state["understanding.scene_scale.logarithm"] = model["logit_scale"]
        state["understanding.object_scale.logarithm"] = model["logit_scale_object"]
        for part in ("weight", "bias"):
            state[f"understanding.emotion_head.hidden.{part}"] = classifier[f"fc0.{part}"]
            state[f"understanding.emotion_head.output.{part}"] = classifier[f"fc1.{part}"][rows]
    except KeyError as error:
        raise UserError(
            f"{path} lacks {error.args[0]}; give a checkpoint of UniEmo's public code"
        ) from None
    state |= {
        f"understanding.chain.{name}": tensor
        for name, tensor in model.items()
        if name.startswith("visual.") and "visual_query" not in name
    }
    return state


def mapper_state(path: Path) -> dict[str, Tensor]:
    """Return a mapper of the public code by this package's names.

    Raises:
        UserError: If it is not the published MLP of two layers without normalisation.
    """
    content = read_pickle(path)
    state = {k.removeprefix("module."): v for k, v in content.items() if isinstance(v, Tensor)}
    weights = [name for name in state if name.endswith(".weight")]
    if len(weights) != 2 or any(state[name].ndim != 2 for name in weights):
        raise UserError(
            f"{path} holds {len(weights)} weights; the published mapper is an MLP of two layers "
            "without normalisation"
        )
    named = zip(("hidden", "output"), weights, strict=True)
    pairs = [(own, name.removesuffix("weight")) for own, name in named]
    return {f"{own}.{part}": state[f"{n}{part}"] for own, n in pairs for part in ("weight", "bias")}


# --- EmoGen ---------------------------------------------------------------------------------------


def read_emogen_space(folder: Path) -> tuple[Tensor, Tensor]:
    """Read EmoGen's emotion space: ``<emotion>_mean_v2.pt`` and ``<emotion>_std_v2.pt``.

    Features of an emotion are drawn from N(mean, std), each dimension by itself
    (docs/method.md, "Emotion space"); EmoGen's own mapper makes a word of them.

    Returns:
        Mean and deviation [C, F], in this package's order of emotions.

    Raises:
        UserError: If a file is missing or broken.
    """
    means, stds = ([_vector(folder / f"{e}_{kind}_v2.pt") for e in EMOTIONS] for kind in KINDS)
    return _stacked(means, folder), _stacked(stds, folder)


def read_emogen_classifier(path: Path, order: Sequence[str] = EMOTIONS) -> nn.Linear:
    """Read EmoGen's emotion classifier, which reads CLIP ViT-L/14's image features (Emo-A's judge).

    Args:
        path: The file: ``fc.weight`` [C, F] and ``fc.bias`` [C].
        order: The emotions as the file numbers them.

    Returns:
        The classifier, its rows in this package's order.

    Raises:
        UserError: If the file is of another layout.
    """
    rows = emotion_rows(order)
    content = read_pickle(path)
    state = content if isinstance(content, dict) else {}
    weight, bias = state.get("fc.weight"), state.get("fc.bias")
    if not (isinstance(weight, Tensor) and weight.ndim == 2 and len(weight) == N_EMOTIONS):
        raise UserError(f"{path} holds no fc.weight of eight rows; give EmoGen's classifier")
    if not (isinstance(bias, Tensor) and bias.shape == (N_EMOTIONS,)):
        raise UserError(f"{path} holds no fc.bias of eight numbers; give EmoGen's classifier")
    classifier = nn.Linear(weight.shape[1], N_EMOTIONS)
    classifier.load_state_dict({"weight": weight[rows], "bias": bias[rows]})
    return classifier.eval()


# --- Files ----------------------------------------------------------------------------------------


def emotion_rows(order: Sequence[str]) -> list[int]:
    """Return where each emotion of this package stands in another order.

    Raises:
        UserError: If the order does not hold each emotion once.
    """
    if sorted(order) != sorted(EMOTIONS):
        raise UserError(f"the order {', '.join(order)} does not hold each of the emotions once")
    return [list(order).index(emotion) for emotion in EMOTIONS]


def read_pickle(path: Path) -> Any:
    """Read a file of ``torch.save``, tensors and plain types (and argparse's settings) only.

    Raises:
        UserError: If it is missing, broken, or holds other objects.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; give the folder of the published files")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and torch raise a dozen kinds
        raise UserError(f"{path} cannot be read ({first_line(error)})") from error


def _first(folder: Path, names: Sequence[str]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{folder} holds no {' or '.join(names)}; give UniEmo's published files")


def _vector(path: Path) -> Tensor:
    content = read_pickle(path)
    if not isinstance(content, Tensor):
        raise UserError(f"{path} holds no tensor; give the emotion space's files")
    return content.detach().float().flatten()


def _stacked(vectors: list[Tensor], folder: Path) -> Tensor:
    if len({len(vector) for vector in vectors}) != 1:
        raise UserError(f"the vectors in {folder} differ in length; give files of one system")
    return torch.stack(vectors)


def _load(model: UniEmo, state: dict[str, Tensor], path: Path) -> None:
    """Load tensors, of which only those of bases, space and word's place may be missing."""
    own = model.state_dict()
    kept: tuple[str, ...] = ("_base.", "painter.", "fusion.word_")
    if model.head is None:
        kept += ("_mapper.",)
    missing = [k for k in own if k not in state and not any(part in k for part in kept)]
    wrong = [k for k in state if k not in own or own[k].shape != state[k].shape]
    if missing or wrong:
        raise UserError(
            f"{path} does not fit the CLIP and the Stable Diffusion that are given (first: "
            f"{(missing + wrong)[0]}); give those it was trained with"
        )
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()}, strict=False)


def _fill_bases(
    model: UniEmo, scenes: Coefficients, objects: Coefficients, rows: list[int]
) -> None:
    fusion, clip = model.fusion, model.settings.clip
    fusion.set_names(list(scenes), list(objects))
    for base, names, template in (
        (fusion.scene_base, scenes, clip.scene_template),
        (fusion.object_base, objects, clip.object_template),
    ):
        if not names:
            continue
        text = model.understanding.backbone.encode_names(list(names), template)
        probability = torch.tensor([list(map(float, row)) for row in names.values()])  # [K, C]
        if probability.shape != (len(names), N_EMOTIONS):
            raise UserError("a name's coefficients are not eight numbers; give one per emotion")
        base.text_features.copy_(F.normalize(text.float(), dim=-1))
        for table in (base.probability, base.correlation):
            table.copy_(probability[:, rows])
        base.supported.fill_(True)


def _fill_space(space: Any, folder: Path) -> None:
    if not isinstance(space, DiagonalGaussian):
        raise UserError("the published emotion space is diagonal; set model.space.kind to that")
    tied = []
    for kind in KINDS:
        files = [[_vector(folder / f"{e}_{f}_{kind}.pt") for f in FEATURES] for e in EMOTIONS]
        tied.append(_stacked([torch.cat(three) for three in files], folder))
    mean, std = tied  # [C, 3 D]
    if mean.shape != space.moments.mean.shape or std.shape != mean.shape:
        raise UserError(f"{folder} holds features of another width than the model's")
    space.moments.count.fill_(1)
    space.moments.mean.copy_(mean)
    space.moments.squares.copy_(std.double().square())
