"""The text encoder of the small Stable Diffusion: the text tower of the small CLIP."""

from typing import Any

from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from uniemo.backbones.captions import CONTEXT_LENGTH


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
