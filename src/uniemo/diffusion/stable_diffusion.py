"""The frozen latent-diffusion head: the parts of a Stable-Diffusion folder, loaded by diffusers.

Source: METHOD, "Understanding guides generation". Gradients pass through the text encoder and the
U-Net to the pseudo-word; no weight in here ever receives one.

Legend: B images, c latent channels, H side of a picture, h side of its latent, T tokens of a
prompt, W width of the text encoder.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from uniemo.diffusion.pseudo_word import PromptEncoder
from uniemo.errors import UserError

PARTS = ("vae", "unet", "text_encoder", "tokenizer", "scheduler")
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
AT_ONCE = 8  # pictures through the VAE: of 512 pixels, its decoder's widest layer makes 2 GiB
REMEDY = f"give a folder that holds {', '.join(f'{part}/' for part in PARTS)} or a hub id"


class Parts(NamedTuple):
    """What a Stable-Diffusion folder holds, safety checker apart, which is never loaded."""

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer | None
    scheduler: DDPMScheduler


class StableDiffusion(nn.Module):
    """Frozen VAE, U-Net and text encoder, with their tokenizer and noise schedule.

    It moves between devices as any module, stays in evaluation mode whatever :meth:`train` is told,
    and keeps its weights out of the state dict: a checkpoint of a module that holds it stays small
    and loads strictly.

    Args:
        source: A Stable-Diffusion folder in diffusers' layout, or the hub id of one.
        dtype: Number format of the frozen weights. ``bfloat16`` halves their memory and saves
            autocast from converting them at every step; losses and latents stay float32.
        placeholder: Text that stands for the pseudo-word in prompts such as ``"a *"``.

    Raises:
        UserError: If a part cannot be found or read, or the parts do not fit together.
    """

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    scheduler: DDPMScheduler
    prompts: PromptEncoder

    def __init__(
        self,
        source: str,
        dtype: Literal["float32", "bfloat16"] = "float32",
        placeholder: str = "*",
    ) -> None:
        super().__init__()
        self._assemble(load_parts(source, getattr(torch, dtype)), placeholder)

    @classmethod
    def from_config(
        cls,
        vae: Mapping[str, Any],
        unet: Mapping[str, Any],
        text_encoder: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        tokenizer: CLIPTokenizer | None = None,
        placeholder: str = "*",
    ) -> Self:
        """Build the head with random weights from the configurations of its parts alone.

        Under ``torch.device("meta")`` this takes no memory. Without a tokenizer no prompt can be
        read.

        Args:
            vae: Arguments of diffusers' ``AutoencoderKL``.
            unet: Arguments of diffusers' ``UNet2DConditionModel``.
            text_encoder: Arguments of transformers' ``CLIPTextConfig``.
            scheduler: Configuration of any diffusers scheduler.
            tokenizer: Tokenizer of the text encoder.
            placeholder: Text that stands for the pseudo-word in prompts.

        Raises:
            UserError: If the parts do not fit together.
        """
        head = cls.__new__(cls)
        nn.Module.__init__(head)
        parts = Parts(
            vae=AutoencoderKL(**vae),
            unet=UNet2DConditionModel(**unet),
            text_encoder=CLIPTextModel(CLIPTextConfig(**text_encoder)),
            tokenizer=tokenizer,
            scheduler=DDPMScheduler.from_config(dict(scheduler)),
        )
        head._assemble(parts, placeholder)
        return head

    def _assemble(self, parts: Parts, placeholder: str) -> None:
        check_fit(parts)
        self.vae = parts.vae
        self.unet = parts.unet
        self.text_encoder = parts.text_encoder
        self.scheduler = parts.scheduler
        self.prompts = PromptEncoder(parts.text_encoder, parts.tokenizer, placeholder)
        self.requires_grad_(False)
        self.eval()

    @property
    def width(self) -> int:
        """W, width of a word embedding and of the text encoder's hidden states."""
        return self.text_encoder.config.hidden_size

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Shape (c, h, h) of the latent of one picture at the U-Net's own size."""
        config = self.unet.config
        return config.in_channels, config.sample_size, config.sample_size

    @property
    def image_size(self) -> int:
        """H in pixels: 512 for Stable Diffusion 1.5."""
        return self.unet.config.sample_size * 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def device(self) -> torch.device:
        """Where the frozen weights lie."""
        return self.unet.device

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: a frozen network has no other."""
        return super().train(False)

    def state_dict(  # type: ignore[override]  # torch's own overloads also take positional arguments
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """Hold nothing: the weights are the folder's, and no checkpoint repeats them."""
        return OrderedDict() if destination is None else destination

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # Checkpoints hold none of our weights, so offer the loader the present ones: strict loading
        # finds every key, and copying a parameter onto itself does nothing.
        state_dict.update(super().state_dict(prefix=prefix, keep_vars=True))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        """Encode pictures to scaled latents.

        The posterior's mode is taken, not a sample: a latent is then a function of its picture
        alone and can be cached, and Stable Diffusion's posteriors are so narrow that a sample
        differs little.

        Args:
            image: Pictures [B, 3, H, H] in [-1, 1], on any device.

        Returns:
            Latents [B, c, h, h] float32 on the head's device.
        """
        image = image.to(self.device, self.vae.dtype)
        parts = image.split(AT_ONCE)
        with self._own_precision():
            mode = torch.cat([self.vae.encode(part).latent_dist.mode() for part in parts])
        return (mode.float() - self._shift) * self.vae.config.scaling_factor  # [B, c, h, h]

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Decode scaled latents [B, c, h, h] to pictures [B, 3, H, H] float32 in [0, 1]."""
        latents = latents.float() / self.vae.config.scaling_factor + self._shift
        latents = latents.to(self.device, self.vae.dtype)
        parts = latents.split(AT_ONCE)
        with self._own_precision():
            image = torch.cat([self.vae.decode(part).sample for part in parts])
        return (image.float() / 2 + 0.5).clamp(0, 1)  # [B, 3, H, H]

    @property
    def _shift(self) -> float:
        """Offset that some VAEs subtract before scaling; Stable Diffusion 1.5 has none."""
        return self.vae.config.shift_factor or 0.0

    def condition(self, words: Tensor, prompt: str | Sequence[str]) -> Tensor:
        """Read a prompt in which each image's pseudo-word stands at the placeholder.

        Args:
            words: Word embeddings c [B, W].
            prompt: One prompt for all images, or B prompts; each holds the placeholder.

        Returns:
            Hidden states [B, T, W], differentiable with respect to the words.

        Raises:
            UserError: If a prompt does not hold the placeholder or is too long.
        """
        return self.prompts.inject(words, prompt)

    def predict(self, noisy: Tensor, timestep: Tensor, conditioning: Tensor) -> Tensor:
        """Run the U-Net: its raw prediction (noise or velocity, see the scheduler's config).

        Args:
            noisy: Noisy latents [B, c, h, h].
            timestep: Timesteps [B], or one for all [].
            conditioning: Hidden states [B, T, W].

        Returns:
            Prediction [B, c, h, h] float32.
        """
        dtype = self.unet.dtype
        with self._own_precision():
            return self.unet(noisy.to(dtype), timestep, conditioning.to(dtype)).sample.float()

    def _own_precision(self) -> AbstractContextManager[None]:
        """Return a context that keeps autocast from weights in half precision.

        They need none, and it would keep every norm's input in float32.
        """
        kind = self.device.type
        half = self.unet.dtype != torch.float32 and torch.is_autocast_enabled(kind)
        return torch.autocast(kind, enabled=False) if half else nullcontext()


def load_parts(source: str, dtype: torch.dtype) -> Parts:
    """Load each part of a Stable-Diffusion folder or hub repository by its own ``from_pretrained``.

    Args:
        source: Folder or hub id.
        dtype: Number format of the weights, whatever the files' own.

    Raises:
        UserError: If a part cannot be found or read, or lacks weights.
    """
    if Path(source).is_dir():
        absent = [f"{part}/" for part in PARTS if not (Path(source) / part).is_dir()]
        if absent:
            raise UserError(
                f"Stable Diffusion folder {source!r} lacks {', '.join(absent)}; {REMEDY}"
            )
    elif not HUB_ID.fullmatch(source):
        raise UserError(f"Stable Diffusion {source!r} is neither a folder nor a hub id; {REMEDY}")
    weights = {"output_loading_info": True}
    # diffusers' low-memory way of loading needs a further package, accelerate.
    diffusers = weights | {"torch_dtype": dtype, "low_cpu_mem_usage": False}
    parts = Parts(
        vae=_load(AutoencoderKL.from_pretrained, source, "vae", **diffusers),
        unet=_load(UNet2DConditionModel.from_pretrained, source, "unet", **diffusers),
        text_encoder=_load(
            CLIPTextModel.from_pretrained, source, "text_encoder", dtype=dtype, **weights
        ),
        tokenizer=_load(CLIPTokenizer.from_pretrained, source, "tokenizer"),
        scheduler=_load(DDPMScheduler.from_pretrained, source, "scheduler"),
    )
    # Where the vocabulary is missing, transformers makes a tokenizer of special tokens alone.
    if parts.tokenizer is not None and len(parts.tokenizer) <= 3:
        raise UserError(f"the tokenizer of {source!r} lacks vocab.json and merges.txt; {REMEDY}")
    return parts


def _load(from_pretrained: Callable[..., Any], source: str, part: str, **options: Any) -> Any:
    """Load one part; every failure becomes one line, and weights that are missing are a failure."""
    try:
        loaded = from_pretrained(source, subfolder=part, **options)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(
            f"cannot load {part} of Stable Diffusion {source!r}: {reason}; {REMEDY}"
        ) from error
    if not isinstance(loaded, tuple):
        return loaded
    # Both libraries fill missing weights with random numbers and go on; a frozen network must not.
    model, report = loaded
    missing = sorted(report["missing_keys"])
    if missing:
        raise UserError(
            f"the weights of {part} of Stable Diffusion {source!r} lack {len(missing)} tensors, "
            f"the first being {missing[0]}; {REMEDY}"
        )
    return model


def check_fit(parts: Parts) -> None:
    """Check that the parts belong together.

    Raises:
        UserError: If widths or channels differ, or neither noise nor velocity is predicted.
    """
    unet = parts.unet.config
    width = parts.text_encoder.config.hidden_size
    channels = parts.vae.config.latent_channels
    prediction = parts.scheduler.config.prediction_type
    if unet.cross_attention_dim != width:
        raise UserError(
            f"the U-Net's cross_attention_dim {unet.cross_attention_dim} is not the text encoder's "
            f"hidden_size {width}; take both from one Stable Diffusion"
        )
    if (unet.in_channels, unet.out_channels) != (channels, channels):
        raise UserError(
            f"the U-Net's in_channels {unet.in_channels} and out_channels {unet.out_channels} are "
            f"not the VAE's latent_channels {channels}; take a text-to-image Stable Diffusion"
        )
    if prediction not in ("epsilon", "v_prediction"):
        raise UserError(
            f"the scheduler's prediction_type {prediction!r} is not supported; "
            "take a Stable Diffusion with epsilon or v_prediction"
        )
