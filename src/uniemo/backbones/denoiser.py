"""The small U-Net and its text encoder: Stable Diffusion 1.5's structure in small."""

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel, UniPCMultistepScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import CLIPTokenizer

from data_modules.emoscenes import OBJECT_NAMES, SCENE_NAMES, words
from uniemo.backbones.autoencoder import LATENT_CHANNELS
from uniemo.backbones.captions import CAPTIONS, PSEUDO_WORD
from uniemo.backbones.composed_images import ALL_OBJECTS, ObjectSettings, to_unit_range
from uniemo.backbones.stage import Stage, build_muon
from uniemo.backbones.text_encoder import text_encoder_from_clip
from uniemo.backbones.velocity_loss import velocity_loss
from uniemo.diffusion.pseudo_word import encode_with_words

SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
}
"""Stable Diffusion's noise schedule, for training and sampling."""

HARD_OBJECTS = (
    "Balloon", "Boat", "Bus", "Cart", "Caterpillar", "Coffee", "Crocodile", "Elephant", "Giraffe",
    "Microphone", "Pineapple", "Pumpkin", "Rabbit", "Saxophone", "Scissors", "Sculpture", "Sheep",
    "Skateboard", "Snake", "Spider",
)  # fmt: skip
"""Objects that are three times as frequent as others: a classifier like that of the scores
misclassified at least three of ten images of each by version 5 of the weights, in other scenes and
from other noise than the scores use."""

TILT = 10.0
"""Greatest rotation of objects in degrees. EmoScenes has up to 25; a small network should learn a
shape earlier with less variation (not measured separately)."""

LOW_NOISE = 1.5
"""Timesteps are 1000 u^(this), u uniform, so 34 % of them lie below 200: the same noise destroys
more of 16 x 16 latents than of Stable Diffusion's 64 x 64 (arXiv 2301.11093)."""

NOISES = 2
"""Noise levels of each image in one step: composing and encoding an image take a sixth of the time
of a step with one level (measured on one thread of a Xeon in bf16)."""

DECAY = 0.998
"""Decay per step of the weights' exponential moving average, which is what is saved."""

KINDS = {"blend": 0.4, "pair": 0.3, "object": 0.15, "scene": 0.05, "none": 0.1}
"""Share of each kind of caption: one blended word, both, one of them, or nothing (for guidance)."""

BLEND = (0.4, 1.1)
"""Range of the two weights of a blended word.

UniEmo's condition is one word, a sum of an emotion, a scene and an object part. A text
encoder of this size does not learn to read such sums from captions alone, so it is trained on some:
the mean token embeddings of the object's and the scene's words, each times a random weight.
"""

MODEL_INDEX = """{
  "_class_name": "StableDiffusionPipeline",
  "feature_extractor": [null, null],
  "safety_checker": [null, null],
  "requires_safety_checker": false,
  "scheduler": ["diffusers", "UniPCMultistepScheduler"],
  "text_encoder": ["transformers", "CLIPTextModel"],
  "tokenizer": ["transformers", "CLIPTokenizer"],
  "unet": ["diffusers", "UNet2DConditionModel"],
  "vae": ["diffusers", "AutoencoderKL"]
}
"""


def build_unet() -> UNet2DConditionModel:
    """Return the U-Net with fresh weights: three levels, cross-attention on the lower two."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 128, 192),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=192,
        attention_head_dim=2,  # diffusers means the number of heads
        norm_num_groups=16,
    )


class DenoiserStage(Stage):
    """Text-to-image pretraining, weighted by where the object is.

    Args:
        clip: The trained small CLIP, whose text tower the text encoder starts from.
        autoencoder: The trained, isometric autoencoder.
        tokenizer: Their tokenizer.
        **arguments: Of :class:`Stage`.
    """

    object_settings = ObjectSettings(
        (*ALL_OBJECTS, *(OBJECT_NAMES.index(name) for name in 2 * HARD_OBJECTS)), tilt=TILT
    )

    none_tokens: Tensor

    def __init__(
        self,
        clip: nn.Module,
        autoencoder: AutoencoderKL,
        tokenizer: CLIPTokenizer,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.unet = build_unet()
        self.text_encoder = text_encoder_from_clip(clip, tokenizer)
        self.autoencoder = autoencoder.requires_grad_(False).eval()
        self.scheduler = DDPMScheduler(**SCHEDULE)
        self.averaged_unet, self.averaged_text_encoder = (
            AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(DECAY)).requires_grad_(False)
            for network in (self.unet, self.text_encoder)
        )

        self.tokenizer = tokenizer
        for kind, texts in (CAPTIONS | {"blend": [f"a {PSEUDO_WORD}"], "none": [""]}).items():
            tokens = tokenizer(texts, padding="max_length", return_tensors="pt").input_ids
            self.register_buffer(f"{kind}_tokens", tokens, persistent=False)
        self.pseudo_word: Any = tokenizer.convert_tokens_to_ids(f"{PSEUDO_WORD}</w>")
        self.parts = [
            [tokenizer(words(name)).input_ids[1:-1] for name in names]
            for names in (OBJECT_NAMES, SCENE_NAMES)
        ]

    def build_optimizer(self) -> Optimizer:
        """Return Muon, with a lower rate for the pretrained text encoder.

        From random weights, with half the batch and the rate, 450 steps of Muon reduced the
        held-out velocity error as much as 700 of AdamW, which take a sixth less time (one thread
        of a Xeon in bf16, one seed).
        """
        return build_muon(
            [
                (self.unet, self.learning_rate, ("conv_in.", "conv_out.")),
                (self.text_encoder, 0.3 * self.learning_rate, ("embeddings.",)),
            ]
        )

    def on_train_batch_end(self, *_: Any) -> None:
        """Update the averages."""
        self.averaged_unet.update_parameters(self.unet)
        self.averaged_text_encoder.update_parameters(self.text_encoder)

    def blended(self, scene: Tensor, object_: Tensor) -> Tensor:
        """Return one word per image [B, W]: a weighted sum of its parts' mean embeddings."""
        embedding: Any = self.text_encoder.get_input_embeddings()
        table: Tensor = embedding.weight
        means = [
            torch.stack([table[torch.tensor(ids, device=table.device)].mean(0) for ids in part])
            for part in self.parts
        ]
        low, high = BLEND
        blend = torch.zeros(len(scene), table.shape[1], device=table.device)
        for mean, index in zip(means, (object_, scene), strict=True):
            weight = torch.rand(len(index), 1, device=table.device) * (high - low) + low
            blend = blend + torch.where((index >= 0)[:, None], weight * mean[index], 0)
        return blend

    def encode_captions(self, scene: Tensor, object_: Tensor) -> Tensor:
        """Return hidden states [B, 16, W] of randomly chosen kinds of caption."""
        shares = torch.tensor(list(KINDS.values()), device=scene.device)
        kind = torch.multinomial(shares, len(scene), replacement=True)
        names = list(KINDS)
        no_scene, no_object = scene < 0, object_ < 0
        pair = kind == names.index("pair")
        kind[no_scene & (pair | (kind == names.index("scene")))] = names.index("object")
        kind[no_object & (pair | (kind == names.index("object")))] = names.index("scene")

        tokens: Tensor = self.none_tokens.repeat(len(scene), 1)
        for name, row in (
            ("object", object_),
            ("scene", scene),
            ("pair", object_ * len(SCENE_NAMES) + scene),
            ("blend", torch.zeros_like(scene)),
        ):
            chosen = kind == names.index(name)
            tokens[chosen] = getattr(self, f"{name}_tokens")[row[chosen]]
        is_word = tokens == self.pseudo_word
        return encode_with_words(self.text_encoder, tokens, is_word, self.blended(scene, object_))

    def loss(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return the velocity error, weighted by where the object is."""
        with torch.no_grad():
            latents = self.autoencoder.encode(to_unit_range(batch["image"])).latent_dist.mode()
        latents, mask = latents.repeat(NOISES, 1, 1, 1), batch["mask"].repeat(NOISES, 1, 1)
        scene, object_ = batch["scene"].repeat(NOISES), batch["object"].repeat(NOISES)
        states = self.encode_captions(scene, object_)
        loss, error = velocity_loss(self.unet, self.scheduler, latents, states, mask, LOW_NOISE)
        self.log("mse", error, prog_bar=True)
        return loss

    def save(self, weights: Path) -> None:
        """Complete ``weights/stable_diffusion``, which holds ``vae``, with the averages."""
        folder = weights / "stable_diffusion"
        for name in "unet", "text_encoder":
            network: Any = getattr(self, f"averaged_{name}").module
            network.half().save_pretrained(folder / name)
        self.tokenizer.save_pretrained(folder / "tokenizer")
        UniPCMultistepScheduler(**SCHEDULE).save_pretrained(folder / "scheduler")
        (folder / "model_index.json").write_text(MODEL_INDEX)
