"""Files for other tools: words as textual-inversion files, the tuned CLIP, the whole model.

Legend: W width of a word, n words.
"""

from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from uniemo.errors import UserError
from uniemo.fusion import StoredFeatures
from uniemo.pipeline.emotion_model import EmotionModel
from uniemo.pipeline.emotion_pipeline import UniEmoPipeline, new_folder
from uniemo.pipeline.photos import Photo
from uniemo.pipeline.words import Emotion, drawn_words, fused_words, mix_means
from uniemo.understanding import ClipBackbone
from uniemo.utils.files import write_json, write_tensors
from uniemo.utils.sources import weights_digest

CLIP_FOLDER = "open_clip"
WORD_KEY = "emb_params"
"""Name of a word's tensor in its file: AUTOMATIC1111's own, which ComfyUI and InvokeAI read too.
diffusers takes the name of the only tensor for the token, unless it is given another."""


# --- Words ----------------------------------------------------------------------------------------


@torch.no_grad()
def mean_word(pipe: UniEmoPipeline, emotion: Emotion) -> Tensor:
    """Return the word [W] of an emotion, fused from the mean of its features (extension).

    Args:
        pipe: The pipeline.
        emotion: A name, or weights by name: then the weighted sum of the words.

    Raises:
        UserError: If the emotion is unknown, or the model only reads.
    """
    weights = pipe.weights(emotion)
    painter = pipe.painter()
    pipe.emotion_model.require_space()
    return mix_means(painter, weights)


@torch.no_grad()
def typical_words(
    pipe: UniEmoPipeline, emotion: Emotion, n: int, seed: int | None = None
) -> Tensor:
    """Return the words [n, W] that the pipeline's first n pictures of an emotion are painted from.

    Source: docs/method.md, "Sampling".

    Raises:
        UserError: If an argument is wrong, or the model only reads.
    """
    if n < 1:
        raise UserError(f"the number of words is {n}; give 1 or more")
    weights = pipe.weights(emotion)
    painter = pipe.painter(seed)
    pipe.emotion_model.require_space()
    return drawn_words(painter, weights, torch.arange(n), painter.sampling.draws).word


@torch.no_grad()
def photo_word(pipe: UniEmoPipeline, photo: Photo, emotion: Emotion | None = None) -> Tensor:
    """Return the word [W] fused from a photo's features (docs/method.md, "Condition").

    Args:
        pipe: The pipeline.
        photo: The photo.
        emotion: What the word expresses; None for what is read from the photo.

    Raises:
        UserError: If the photo or the emotion cannot be used, or the model only reads.
    """
    features, read = pipe.features_of(photo)
    weights = {read: 1.0} if emotion is None else pipe.weights(emotion)
    return fused_words(pipe.painter(), weights, features).word[0]


def write_word(path: Path, word: Tensor) -> None:
    """Write a word [W] as a textual-inversion file in safetensors.

    diffusers reads it by ``pipe.load_textual_inversion(path, token="<awe>")``; in ComfyUI and
    AUTOMATIC1111 the file's name is the word.

    Raises:
        UserError: If the name does not end in ``.safetensors``.
    """
    if path.suffix != ".safetensors":
        raise UserError(f"{path} does not end in .safetensors; name it so")
    write_tensors(path, {WORD_KEY: word.detach().float().cpu()[None]})  # [1, W]


# --- Model ----------------------------------------------------------------------------------------


def write_clip(folder: Path, backbone: ClipBackbone) -> None:
    """Write a CLIP with its tuned vision tower: ``open_clip.create_model("local-dir:FOLDER")``.

    The tower was tuned to evoke emotions, with expert queries beside the image's tokens: its image
    features are for probing, and fit the text tower's less well than before.

    Args:
        folder: The folder, which must not exist yet.
        backbone: CLIP, both towers.

    Raises:
        UserError: If the text tower is absent.
    """
    network: Any = backbone.model
    state = network.state_dict()
    if any(tensor.is_meta for tensor in state.values()):
        raise UserError(
            "an exported model has no text tower to export again; give the run or checkpoint"
        )
    folder.mkdir(parents=True)
    tensors = {name: tensor.detach().float().cpu() for name, tensor in state.items()}
    write_tensors(folder / "open_clip_model.safetensors", tensors)
    config = {"model_cfg": backbone.config, "preprocess_cfg": dict(network.visual.preprocess_cfg)}
    write_json(folder / "open_clip_config.json", config)
    tokenizer = getattr(backbone.tokenizer, "tokenizer", None)
    if backbone.config.get("text_cfg", {}).get("hf_tokenizer_name") and tokenizer is not None:
        tokenizer.save_pretrained(folder)


def export_model(pipe: UniEmoPipeline, folder: Path) -> None:
    """Write the pipeline in diffusers' layout, and in ``open_clip/`` its CLIP; all or nothing.

    Raises:
        UserError: If the folder holds something, or the model was exported before.
    """
    with new_folder(folder) as part:
        write_clip(part / CLIP_FOLDER, pipe.emotion_model.understanding.backbone)
        pipe.write_parts(part)


def export_trained(pipe: UniEmoPipeline, folder: Path, capacity: int | None = None) -> None:
    """Write what was trained alone, in half precision: all or nothing.

    Loaded, it takes its Stable Diffusion from where the training took it, and computes in float32
    as ever. Sums of the emotion space stay in float64.

    Args:
        pipe: The pipeline.
        folder: A new folder.
        capacity: Of an emotion space that stores features: how many of each emotion are kept, as
            if no more had been stored in the training; None for all.

    Raises:
        UserError: If the folder holds something, or the space stores nothing.
    """
    model = deepcopy(pipe.emotion_model)
    if capacity is not None:
        _keep(model, capacity)
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.dtype == torch.float32:
            tensor.data = tensor.data.half()
    if model.settings.diffusion is not None:
        digest = weights_digest(model.settings.diffusion.source)
        model.register_to_config(diffusion_digest=digest)
    with new_folder(folder) as part:
        UniEmoPipeline(model).write_parts(part)


def _keep(model: EmotionModel, capacity: int) -> None:
    """Keep the first stored features of each emotion: a random subset of the training images."""
    space, settings = model.space, model.settings
    if not isinstance(space, StoredFeatures) or not 1 <= capacity <= space.reservoir.rows.shape[1]:
        raise UserError(f"the emotion space does not store {capacity} features; give fewer or none")
    for name in ("rows", "priority"):
        setattr(space.reservoir, name, getattr(space.reservoir, name)[:, :capacity].clone())
    thin = replace(settings, space=replace(settings.space, capacity=capacity))
    model.register_to_config(settings=asdict(thin))
