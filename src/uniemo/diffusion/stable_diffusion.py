"""The frozen latent-diffusion head: the models of a Stable Diffusion, loaded by diffusers.

Gradients pass through the text encoder and the U-Net to the pseudo-word; no weight receives one
(docs/method.md, "Noise-prediction loss").

Legend: B images, c latent channels, H side length of an image, h of its latent, T tokens of a
prompt, W width of the text encoder.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from uniemo.diffusion.pseudo_word import PromptEncoder
from uniemo.errors import UserError

PARTS = ("vae", "unet", "text_encoder", "tokenizer", "scheduler")
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
VAE_BATCH_SIZE = 8  # at 512 pixels the widest layer of the VAE's decoder then takes 2 GiB
REMEDY = f"give a folder with {', '.join(f'{part}/' for part in PARTS)} or a hub id"


class Parts(NamedTuple):
    """The models and tools of a Stable Diffusion; its safety checker is never loaded."""

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer | None
    scheduler: DDPMScheduler


class StableDiffusion(nn.Module):
    """Frozen VAE, U-Net and text encoder, with their tokenizer and noise schedule.

    The module moves between devices like any other, but :meth:`train` never leaves evaluation mode
    and the state dict is empty: checkpoints of a module that contains it stay small and still load
    strictly. :meth:`from_pretrained` loads one.

    Args:
        parts: The models; they are frozen in place. On the meta device they take no memory.

    Raises:
        UserError: If the parts do not fit together.
    """

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    scheduler: DDPMScheduler
    prompts: PromptEncoder

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        check_fit(parts)
        self.vae = parts.vae
        self.unet = parts.unet
        self.text_encoder = parts.text_encoder
        self.scheduler = parts.scheduler
        self.prompts = PromptEncoder(parts.text_encoder, parts.tokenizer)
        self.requires_grad_(False)
        self.eval()

    @classmethod
    def from_pretrained(
        cls, source: str, dtype: Literal["float32", "bfloat16"] = "float32"
    ) -> Self:
        """Load a Stable Diffusion from a folder or from the hub.

        Args:
            source: A folder in diffusers' layout, or a hub id.
            dtype: Number format of the frozen weights. ``bfloat16`` halves their memory and spares
                autocast their conversion at every step; losses and latents stay float32.

        Raises:
            UserError: If a part cannot be found or read, or the parts do not fit together.
        """
        return cls(load_parts(source, getattr(torch, dtype)))

    @property
    def width(self) -> int:
        """W, width of the text encoder's token embeddings and hidden states."""
        return self.text_encoder.config.hidden_size

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Shape (c, h, h) of the latent of one image at the U-Net's native size."""
        config = self.unet.config
        return config.in_channels, config.sample_size, config.sample_size

    @property
    def image_size(self) -> int:
        """H in pixels: 512 for Stable Diffusion 1.5."""
        return self.unet.config.sample_size * 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def device(self) -> torch.device:
        """Device of the frozen weights."""
        return self.unet.device

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode, because the weights are frozen."""
        return super().train(False)

    def state_dict(  # type: ignore[override]  # torch's own overloads also take positional arguments
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """Return no weights, because checkpoints need not repeat those of the source."""
        return OrderedDict() if destination is None else destination

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # Checkpoints contain no frozen weights, so the present ones are added: strict loading finds
        # every key, and copying a parameter onto itself changes nothing.
        state_dict.update(super().state_dict(prefix=prefix, keep_vars=True))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        """Encode images to scaled latents.

        A latent is the mode of the posterior, not a sample: it is then a function of its image
        alone and can be cached, and Stable Diffusion's posteriors are so narrow that a sample
        differs little.

        Args:
            image: Images [B, 3, H, H] in [-1, 1], on any device.

        Returns:
            Latents [B, c, h, h] float32 on the device of the weights.
        """
        image = image.to(self.device, self.vae.dtype)
        parts = image.split(VAE_BATCH_SIZE)
        with self._own_precision():
            mode = torch.cat([self.vae.encode(part).latent_dist.mode() for part in parts])
        return (mode.float() - self._shift) * self.vae.config.scaling_factor  # [B, c, h, h]

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Decode scaled latents to images.

        Args:
            latents: Latents [B, c, h, h], on any device.

        Returns:
            Images [B, 3, H, H] float32 in [0, 1] on the device of the weights.
        """
        latents = latents.float() / self.vae.config.scaling_factor + self._shift
        latents = latents.to(self.device, self.vae.dtype)
        parts = latents.split(VAE_BATCH_SIZE)
        with self._own_precision():
            image = torch.cat([self.vae.decode(part).sample for part in parts])
        return (image.float() / 2 + 0.5).clamp(0, 1)  # [B, 3, H, H]

    @property
    def _shift(self) -> float:
        """Offset that some VAEs subtract before scaling; 0 for Stable Diffusion 1.5."""
        return self.vae.config.shift_factor or 0.0

    def condition(self, words: Tensor, prompt: str | Sequence[str]) -> Tensor:
        """Encode prompts with pseudo-words c [B, W]; see :meth:`PromptEncoder.inject`."""
        return self.prompts.inject(words, prompt)

    def predict(self, noisy: Tensor, timestep: Tensor, conditioning: Tensor) -> Tensor:
        """Run the U-Net, which predicts what the scheduler's ``prediction_type`` says.

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
        """Return a context that disables autocast if the weights are in half precision.

        They do not need it, and autocast would compute every norm in float32.
        """
        kind = self.device.type
        half = self.unet.dtype != torch.float32 and torch.is_autocast_enabled(kind)
        return torch.autocast(kind, enabled=False) if half else nullcontext()


def load_parts(source: str, dtype: torch.dtype) -> Parts:
    """Load each part of a Stable-Diffusion folder or hub repository by its own ``from_pretrained``.

    The weights get this number format, whatever that of the files.

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
    # diffusers' loading with low memory needs another package, accelerate.
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
    # Without a vocabulary, transformers makes a tokenizer of special tokens only.
    if parts.tokenizer is not None and len(parts.tokenizer) <= 3:
        raise UserError(f"the tokenizer of {source!r} lacks vocab.json and merges.txt; {REMEDY}")
    return parts


def _load(from_pretrained: Callable[..., Any], source: str, part: str, **options: Any) -> Any:
    """Load one part; a UserError says in one line why that is impossible."""
    try:
        loaded = from_pretrained(source, subfolder=part, **options)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(
            f"cannot load {part} of Stable Diffusion {source!r}: {reason}; {REMEDY}"
        ) from error
    if not isinstance(loaded, tuple):
        return loaded
    # Both libraries replace missing weights by random ones, which a frozen network must not use.
    model, report = loaded
    missing = sorted(report["missing_keys"])
    if missing:
        raise UserError(
            f"the weights of {part} of Stable Diffusion {source!r} lack {len(missing)} tensors, "
            f"the first being {missing[0]}; {REMEDY}"
        )
    return model


def check_fit(parts: Parts) -> None:
    """Check that the parts fit together.

    Raises:
        UserError: If widths or channels differ, or the prediction type is not supported.
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
