"""The small U-Net and its text encoder: Stable Diffusion 1.5's structure in small."""

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel, UniPCMultistepScheduler
from timm.optim import Muon
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from data_modules.emoscenes import OBJECT_NAMES, SCENE_NAMES, words
from uniemo.backbones.autoencoder import LATENT_CHANNELS
from uniemo.backbones.captions import CONTEXT_LENGTH, PSEUDO_WORD, object_caption
from uniemo.backbones.pictures import ALL_OBJECTS, Subject, to_unit_range
from uniemo.backbones.stage import Stage
from uniemo.diffusion.pseudo_word import encode_with_words

SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
}
"""Stable Diffusion's noise schedule, in every scheduler of ours."""

HARD_OBJECTS = (
    "Balloon", "Boat", "Bus", "Cart", "Caterpillar", "Coffee", "Crocodile", "Elephant", "Giraffe",
    "Microphone", "Pineapple", "Pumpkin", "Rabbit", "Saxophone", "Scissors", "Sculpture", "Sheep",
    "Skateboard", "Snake", "Spider",
)  # fmt: skip
"""Objects that come three times as often as others: of ten pictures of each, in other scenes and
from other noise than the scores', a classifier like theirs took at least three of version 5's for
something else."""

TILT = 10.0
"""Degrees that objects are turned by at most. EmoScenes turns them by up to 25; the fewer positions
there are of a shape, the sooner a network of this size should know it (not measured by itself)."""

MASK_WEIGHT = 3.0
"""The loss of a latent pixel weighs 1 + this x the share of it that the object covers."""

LOW_NOISE = 1.5
"""Timesteps are 1000 u^(this), u uniform, so 34 % of them lie below 200: the same noise hides more
of 16 x 16 latents than of Stable Diffusion's 64 x 64 (arXiv 2301.11093)."""

NOISES = 2
"""Noise levels from which a picture is painted in one step: composing and encoding it take a sixth
of a step's time if each is painted from one (a trial on one thread of a Xeon in bf16)."""

KINDS = {"blend": 0.4, "pair": 0.3, "object": 0.15, "scene": 0.05, "none": 0.1}
"""Share of each kind of caption: one blended word, both, one of them, or nothing (for guidance)."""

BLEND = (0.4, 1.1)
"""Range of the two weights of a blended word.

UniEmo's condition is one word, a sum of an emotion, a scene and an object part. A text encoder of
this size has not seen enough language to read such sums, so it is shown some: the mean token
embeddings of the object's and the scene's words, each times a random weight.
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


def text_encoder_from_clip(clip: Any, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Return a transformers text encoder with the weights of an open_clip text tower.

    Raises:
        RuntimeError: If the tower is of another structure.
    """
    state: dict[str, Tensor] = clip.state_dict()
    width, layers = state["token_embedding.weight"].shape[1], len(clip.transformer.resblocks)
    encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=4 * width,
            projection_dim=width,
            num_hidden_layers=layers,
            num_attention_heads=clip.transformer.resblocks[0].attn.num_heads,
            max_position_embeddings=CONTEXT_LENGTH,
            hidden_act="gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    prefix = "text_model." if any(k.startswith("text_model.") for k in encoder.state_dict()) else ""
    new = {
        "embeddings.token_embedding.weight": state["token_embedding.weight"],
        "embeddings.position_embedding.weight": state["positional_embedding"],
        "final_layer_norm.weight": state["ln_final.weight"],
        "final_layer_norm.bias": state["ln_final.bias"],
    }
    names = {
        "attn.out_proj": "self_attn.out_proj",
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    for i in range(layers):
        old, target = f"transformer.resblocks.{i}", f"encoder.layers.{i}"
        for kind in "weight", "bias":
            for a, b in names.items():
                new[f"{target}.{b}.{kind}"] = state[f"{old}.{a}.{kind}"]
            packed = state[f"{old}.attn.in_proj_{kind}"].chunk(3)
            for name, part in zip("qkv", packed, strict=True):
                new[f"{target}.self_attn.{name}_proj.{kind}"] = part
    missing, unexpected = encoder.load_state_dict(
        {prefix + name: value for name, value in new.items()}, strict=False
    )
    if unexpected or any("position_ids" not in name for name in missing):
        raise RuntimeError(f"text tower does not fit: missing {missing}, unexpected {unexpected}")
    return encoder


def velocity_loss(
    unet: UNet2DConditionModel,
    scheduler: DDPMScheduler,
    latents: Tensor,
    states: Tensor,
    mask: Tensor,
    low_noise: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Return the squared velocity error, the object's place weighing more, and the plain one.

    A velocity's target is sqrt(alpha-bar_t) e - sqrt(1 - alpha-bar_t) x (arXiv 2202.00512); noise e
    and timesteps t come from torch's global generator, the latter evenly spread over the batch as
    in arXiv 2107.00630: row i of B gets the quantile u + i / B, modulo 1.

    Args:
        unet: Predicts velocities.
        scheduler: The noise schedule.
        latents: x [B, c, h, h].
        states: Hidden states of the captions [B, T, W].
        mask: Share of each latent pixel that the object covers [B, h, h].
        low_noise: Exponent on the quantile that t comes from; above 1 prefers little noise.

    Returns:
        Two scalars.
    """
    latents = latents.float()  # an autoencoder under autocast gives fewer bits
    noise = torch.randn_like(latents)
    steps = scheduler.config.num_train_timesteps
    rows = torch.arange(len(latents), device=latents.device) / len(latents)
    uniform = (torch.rand((), device=latents.device) + rows) % 1
    time = (steps * uniform**low_noise).long().clamp(max=steps - 1)
    noisy = scheduler.add_noise(latents, noise, time)
    target = scheduler.get_velocity(latents, noise, time)
    error = (unet(noisy, time, states).sample.float() - target).square()  # [B, c, h, h]
    weight = 1 + MASK_WEIGHT * mask[:, None]  # [B, 1, h, h]
    return (weight * error).mean() / weight.mean(), error.mean()


class DenoiserStage(Stage):
    """Text-to-image pretraining, the object's place weighing more than its ground.

    Args:
        clip: The trained small CLIP, whose text tower the text encoder starts from.
        autoencoder: The trained, isometric autoencoder.
        tokenizer: Their tokenizer.
        **arguments: Of :class:`Stage`.
    """

    subject = Subject(
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
        torch.manual_seed(self.seed)
        self.unet = build_unet()
        self.text_encoder = text_encoder_from_clip(clip, tokenizer)
        self.autoencoder = autoencoder.requires_grad_(False).eval()
        self.scheduler = DDPMScheduler(**SCHEDULE)

        objects = [object_caption(name) for name in OBJECT_NAMES]
        scenes = [words(name) for name in SCENE_NAMES]
        texts = {
            "object": objects,
            "scene": scenes,
            "pair": [f"{object_}, {scene}" for object_ in objects for scene in scenes],
            "blend": [f"a {PSEUDO_WORD}"],
            "none": [""],
        }
        for kind, captions in texts.items():
            tokens = tokenizer(captions, padding="max_length", return_tensors="pt").input_ids
            self.register_buffer(f"{kind}_tokens", tokens, persistent=False)
        self.pseudo_word: Any = tokenizer.convert_tokens_to_ids(f"{PSEUDO_WORD}</w>")
        self.parts = [
            [
                tokenizer(text.removeprefix("a ").removeprefix("an ")).input_ids[1:-1]
                for text in part
            ]
            for part in (objects, scenes)
        ]

    def build_optimizer(self) -> Optimizer:
        """Return Muon (arXiv 2502.16982), the pretrained text encoder's weights at a lower rate.

        First and last layer, embeddings and vectors take AdamW. From nothing, at half the batch and
        the rate, the held-out velocity error fell in 450 of its steps as far as in 700 of AdamW's,
        which take a sixth less time (a trial on one thread of a Xeon in bf16, one seed).
        """
        groups: list[dict[str, Any]] = []
        for module, rate, ends in (
            (self.unet, self.learning_rate, ("conv_in.", "conv_out.")),
            (self.text_encoder, 0.3 * self.learning_rate, ("embeddings.",)),
        ):
            for at_ends in False, True:
                parameters = [
                    parameter
                    for name, parameter in module.named_parameters()
                    if any(end in name for end in ends) == at_ends
                ]
                groups.append({"params": parameters, "lr": rate, "use_fallback": at_ends})
        return Muon(groups, weight_decay=0.01, nesterov=True, betas=(0.9, 0.99))

    def blended(self, scene: Tensor, object_: Tensor) -> Tensor:
        """Return one word per picture [B, W]: a weighted sum of its parts' mean embeddings."""
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
        """Return the velocity error, the object's place weighing more."""
        with torch.no_grad():
            latents = self.autoencoder.encode(to_unit_range(batch["image"])).latent_dist.mode()
        latents, mask = latents.repeat(NOISES, 1, 1, 1), batch["mask"].repeat(NOISES, 1, 1)
        scene, object_ = batch["scene"].repeat(NOISES), batch["object"].repeat(NOISES)
        states = self.encode_captions(scene, object_)
        loss, error = velocity_loss(self.unet, self.scheduler, latents, states, mask, LOW_NOISE)
        self.log("mse", error, prog_bar=True)
        return loss


def save(stage: DenoiserStage, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write U-Net, text encoder, tokenizer and scheduler beside ``vae``, in half precision."""
    stage.unet.half().save_pretrained(folder / "unet")
    stage.text_encoder.half().save_pretrained(folder / "text_encoder")
    tokenizer.save_pretrained(folder / "tokenizer")
    UniPCMultistepScheduler(**SCHEDULE).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(
        "{\n"
        '  "_class_name": "StableDiffusionPipeline",\n'
        '  "feature_extractor": [null, null],\n'
        '  "safety_checker": [null, null],\n'
        '  "requires_safety_checker": false,\n'
        '  "scheduler": ["diffusers", "UniPCMultistepScheduler"],\n'
        '  "text_encoder": ["transformers", "CLIPTextModel"],\n'
        '  "tokenizer": ["transformers", "CLIPTokenizer"],\n'
        '  "unet": ["diffusers", "UNet2DConditionModel"],\n'
        '  "vae": ["diffusers", "AutoencoderKL"]\n'
        "}\n"
    )
