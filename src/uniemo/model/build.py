"""Make :class:`UniEmo` from settings, or from a checkpoint."""

from pathlib import Path

import torch

from uniemo.config.model import ModelSettings
from uniemo.diffusion import StableDiffusion
from uniemo.errors import known_step
from uniemo.fusion import Fusion
from uniemo.model.checkpoint import read_checkpoint, trained_word_width
from uniemo.model.painter import Painter
from uniemo.model.uniemo import UniEmo
from uniemo.understanding import ClipBackbone, Understanding, load_clip
from uniemo.utils.sources import resolve


def build_model(settings: ModelSettings) -> UniEmo:
    """Load CLIP and Stable Diffusion and build the model on them.

    With ``start_from``, trained weights are taken from there.

    Raises:
        UserError: If weights are missing or do not fit together.
    """
    random, clip = settings.random_weights, settings.clip
    pretrained = None if random else clip.pretrained
    backbone = load_clip(resolve(clip.model), pretrained, load_weights=not random)
    head = None if settings.diffusion is None else settings.diffusion.load(random)
    if settings.start_from is None:
        return assemble(backbone, head, settings)
    start = read_checkpoint(settings.start_from)
    model = assemble(backbone, head, settings, trained_word_width(start))
    model.restore(start)
    return model


def assemble(
    backbone: ClipBackbone,
    head: StableDiffusion | None,
    settings: ModelSettings,
    word_width: int | None = None,
) -> UniEmo:
    """Build the model on parts that are loaded already, or that lie on the meta device.

    Args:
        backbone: CLIP; its visual tower becomes part of the model.
        head: The diffusion head, or None for understanding alone.
        settings: Sizes, losses and rates; its sources of weights are not read.
        word_width: Width of a word where there is no head; None for CLIP's joint space's, which is
            that of the Stable Diffusion made for this CLIP (768).
    """
    feature_width, embedding_width = backbone.model.visual.proj.shape
    if head is not None:
        word_width = head.width
    elif word_width is None:
        word_width = embedding_width
    structure, n_emotions = settings.model, len(settings.emotions)
    understanding = Understanding(
        backbone,
        word_width,
        structure.n_queries,
        structure.queries,
        structure.dropout,
        structure.query_start,
        structure.feature_depth,
        structure.normalise,
        n_emotions,
    )
    fusion = Fusion(
        feature_width,
        word_width,
        embedding_width,
        structure.coefficients,
        structure.evidence,
        structure.normalise,
        n_emotions,
    )
    if not structure.normalise:
        fusion.start_among(torch.zeros(word_width), torch.ones(()))
    elif head is not None and head.device.type != "meta":
        fusion.start_among(*head.prompts.word_statistics())
    space = settings.space.build(feature_width, n_emotions)
    prompt = {} if settings.diffusion is None else {"prompt": settings.diffusion.prompt}
    painter = Painter(
        understanding, fusion, space, head, settings.sampling, **prompt, seed=settings.seed
    )
    return UniEmo(understanding, fusion, painter, settings)


def load_model(path: str | Path) -> UniEmo:
    """Load a trained model from a checkpoint file, CLIP and head from where it was built.

    Raises:
        UserError: If the file is missing or no checkpoint of UniEmo.
    """
    saved = read_checkpoint(path)["hyper_parameters"]
    with known_step(f"the settings in checkpoint {path} cannot be read", "give another"):
        settings = ModelSettings.of_trained(saved, start_from=str(path))
    return build_model(settings).eval()
