"""The pretrained CLIP under the understanding chain, through open_clip's own factory.

Legend: K names, E width of CLIP's joint embedding space.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import open_clip
import torch
from torch import Tensor
from torch.nn import functional as F

from uniemo.errors import UserError, first_line
from uniemo.utils.names import readable

PROVIDE = (
    "give a weights file as `pretrained`, a folder as model `local-dir:/path` "
    "(open_clip_config.json, open_clip_model.safetensors) or a hub id as model `hf-hub:owner/name`"
)
NAMES_PER_PASS = 256


@dataclass(frozen=True)
class ClipBackbone:
    """A CLIP, and how its images and texts are prepared. Its text tower is frozen."""

    model: open_clip.CLIP
    tokenizer: Callable[[list[str]], Tensor]
    """Texts to token ids [K, L] long."""
    image_size: int
    """Side of the square image that the vision tower reads, in pixels."""
    mean: tuple[float, ...]
    """Mean of red, green and blue that images in [0, 1] are normalised with: CLIP's own."""
    std: tuple[float, ...]
    """Their standard deviation."""
    config: dict[str, Any]
    """open_clip's configuration of the model (``model_cfg``)."""

    @torch.no_grad()
    def encode_names(self, names: Sequence[str], template: str = "a photo of {}") -> Tensor:
        """Return CLIP's text features of attribute names, unit length: [K, E] float.

        Args:
            names: K names as EmoSet writes them (``mountain_snowy``, ``Alarm clock``); they are
                read in lower case, with spaces for ``_`` and ``/`` (extension).
            template: The sentence; ``{}`` is where the name goes.

        Raises:
            ValueError: If the template has no place for the name, or there is no name.
        """
        if "{}" not in template:
            raise ValueError(f"template {template!r} has no {{}} where the name goes; add one")
        if not names:
            raise ValueError("names is empty; give at least one attribute name")
        tokens = self.tokenizer([template.format(readable(name)) for name in names])  # [K, L]
        tokens = tokens.to(next(self.model.parameters()).device)
        features = [self.model.encode_text(chunk) for chunk in tokens.split(NAMES_PER_PASS)]
        return F.normalize(torch.cat(features).float(), dim=-1)  # [K, E]


def load_clip(
    model: str, pretrained: str | None = None, *, load_weights: bool = True
) -> ClipBackbone:
    """Load a CLIP by open_clip's names, in float32, its text tower frozen.

    The tokenizer of a ``local-dir:`` or ``hf-hub:`` model is read from the same place if its config
    names an ``hf_tokenizer_name``; otherwise it is CLIP's own.

    Args:
        model: A name of ``open_clip.list_models()``, ``local-dir:/path`` or ``hf-hub:owner/name``.
        pretrained: For a plain name, the weights: one of its tags, or a file. The other two kinds
            of model bring their weights along.
        load_weights: False builds the structure alone, on torch's default device: under
            ``torch.device("meta")`` it takes no memory.

    Raises:
        UserError: If the model is unknown, its weights or tokenizer are missing or do not fit it,
            or a tag's weights were trained with another GELU than the model has (open_clip only
            warns; of a file nobody knows).
    """
    _check_names(model, pretrained, load_weights)
    try:
        clip = open_clip.create_model(
            model,
            pretrained=pretrained,
            load_weights=load_weights,
            require_pretrained=load_weights,
            device=torch.get_default_device(),
        )
    except Exception as error:  # open_clip, the hub and safetensors raise a dozen kinds
        weights = f" with weights {pretrained!r}" if pretrained else ""
        raise UserError(
            f"CLIP {model!r}{weights} could not be loaded ({first_line(error)}); {PROVIDE}"
        ) from error
    try:
        with torch.device("cpu"):
            tokenizer = open_clip.get_tokenizer(model)
            largest = int(tokenizer(["a"]).max())  # the end-of-text id is a tokenizer's largest
    except Exception as error:
        raise UserError(
            f"the tokenizer of CLIP {model!r} could not be loaded ({first_line(error)}); put its "
            "files (tokenizer.json or vocab.json and merges.txt, tokenizer_config.json) beside the "
            "weights"
        ) from error
    if largest >= clip.vocab_size:
        raise UserError(
            f"CLIP {model!r} has {clip.vocab_size} tokens but its tokenizer writes id {largest}; "
            "name it as text_cfg.hf_tokenizer_name in open_clip_config.json and put it beside that"
        )
    for name, child in clip.named_children():
        if name != "visual":
            child.eval()
    for name, parameter in clip.named_parameters():
        if not name.startswith("visual."):
            parameter.requires_grad_(False)
    preprocess = clip.visual.preprocess_cfg
    height, width = clip.visual.image_size
    if height != width:
        raise UserError(f"CLIP {model!r} reads {height} x {width} images; choose a square one")
    mean, std = tuple(preprocess["mean"]), tuple(preprocess["std"])
    config = open_clip.get_model_config(model)
    return ClipBackbone(clip, tokenizer, height, mean, std, config)


def _check_names(model: str, pretrained: str | None, load_weights: bool) -> None:
    """Refuse unknown names and the silent QuickGELU mismatch before anything is downloaded."""
    if model.startswith(("local-dir:", "hf-hub:")):
        if pretrained:
            raise UserError(
                f"CLIP {model!r} brings its own weights; remove pretrained={pretrained!r}"
            )
        return
    config = open_clip.get_model_config(model)
    if config is None:
        near = difflib.get_close_matches(model, open_clip.list_models(), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UserError(f"CLIP {model!r} is unknown to open_clip{hint}; {PROVIDE}")
    if load_weights and not pretrained:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(model)) or "none"
        raise UserError(f"CLIP {model!r} has no weights (its tags: {tags}); {PROVIDE}")
    tag = open_clip.get_pretrained_cfg(model, pretrained) if pretrained else {}
    has_quick_gelu = config.get("quick_gelu", False)
    if tag and tag.get("quick_gelu", False) != has_quick_gelu:
        stem = model.removesuffix("-quickgelu")
        raise UserError(
            f"weights {pretrained!r} were trained with{'out' if has_quick_gelu else ''} QuickGELU, "
            f"unlike CLIP {model!r}; use model {stem if has_quick_gelu else stem + '-quickgelu'!r}"
        )
