"""How much of an image one word can carry; UniEmo's condition is one word.

Legend: B images of a batch, E width of CLIP's joint space, W width of the text encoder, T tokens
of a caption.
"""

from typing import Any

from torch import Tensor, nn

from uniemo.backbones.captions import PSEUDO_WORD
from uniemo.backbones.composed_images import ObjectSettings, to_unit_range
from uniemo.backbones.stage import Stage, run_once
from uniemo.backbones.velocity_loss import velocity_loss
from uniemo.diffusion import StableDiffusion
from uniemo.understanding import ClipBackbone

SEED = 98
"""Seed of the map's weights, its images and its noise."""

STEPS = 1200
"""Takes minutes; the score is a lower bound of what one word can carry."""


def clip_features(backbone: ClipBackbone, image: Tensor) -> Tensor:
    """Return CLIP's unit features [B, E] of images [B, 3, 64, 64] in [0, 1]."""
    mean, std = (image.new_tensor(v)[:, None, None] for v in (backbone.mean, backbone.std))
    return backbone.model.encode_image((image - mean) / std, normalize=True)


class WordMapperStage(Stage):
    """From CLIP's feature of an image to the word of ``"a *"`` that generates it again.

    A two-layer MLP, trained through the frozen text encoder and U-Net. Its output is scaled and
    moved so that words start among the text encoder's real ones, as in
    :class:`uniemo.fusion.condition.Fusion`.

    Args:
        backbone: The trained small CLIP, frozen here.
        head: The trained small Stable Diffusion.
        **arguments: Of :class:`Stage`.
    """

    object_settings = ObjectSettings(large=0)  # as in the held-out images

    word_mean: Tensor  # [W]
    word_std: Tensor  # scalar

    def __init__(self, backbone: ClipBackbone, head: StableDiffusion, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.backbone = backbone
        self.clip = backbone.model.requires_grad_(False).eval()  # moves to the trainer's device
        self.head = head
        feature_width = backbone.model.visual.output_dim
        self.mapper = nn.Sequential(
            nn.LayerNorm(feature_width, elementwise_affine=False),
            nn.Linear(feature_width, 4 * feature_width),
            nn.GELU(),
            nn.Linear(4 * feature_width, head.width),
        )
        mean, std = head.prompts.word_statistics()
        self.register_buffer("word_mean", mean)
        self.register_buffer("word_std", std)

    def encode(self, image: Tensor) -> Tensor:
        """Return hidden states [B, T, W] of ``"a *"`` for images [B, 3, 64, 64] in [0, 1]."""
        word = self.word_mean + self.word_std * self.mapper(clip_features(self.backbone, image))
        return self.head.condition(word, f"a {PSEUDO_WORD}")

    def loss(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return the velocity error, weighted as in pretraining."""
        latents = self.head.encode(to_unit_range(batch["image"]))
        states = self.encode(batch["image"].float() / 255)
        loss, error = velocity_loss(
            self.head.unet, self.head.scheduler, latents, states, batch["mask"]
        )
        self.log("mse", error, prog_bar=True)
        return loss


def train_word_mapper(backbone: ClipBackbone, head: StableDiffusion) -> WordMapperStage:
    """Return a trained map; minutes on a CPU."""
    stage = WordMapperStage(
        backbone, head, seed=SEED, steps=STEPS, batch_size=32, learning_rate=1e-3
    )
    run_once(stage)
    return stage
