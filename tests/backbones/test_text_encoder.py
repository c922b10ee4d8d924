from pathlib import Path

import open_clip
import pytest
import torch
from torch import Tensor, nn
from transformers import CLIPTokenizer

import uniemo.backbones
from uniemo.backbones.text_encoder import text_encoder_from_clip

CAPTIONS = ["a lion, coast", "an umbrella", "amusement park", "", "a *"]


@torch.no_grad()
def test_the_text_encoder_has_the_token_states_of_open_clips_text_tower() -> None:
    shipped = Path(uniemo.backbones.__file__).parent / "weights/clip"  # trained: no bias is 0
    tower = open_clip.create_model(f"local-dir:{shipped}").eval()
    tokenizer = CLIPTokenizer.from_pretrained(shipped)
    tokens = tokenizer(CAPTIONS, padding="max_length", return_tensors="pt").input_ids
    states: list[Tensor] = []
    tower.ln_final.register_forward_hook(lambda _module, _inputs, output: states.append(output))
    tower.encode_text(tokens)
    encoder = text_encoder_from_clip(tower, tokenizer).eval()
    found = encoder(tokens).last_hidden_state
    torch.testing.assert_close(found, states[0], atol=1e-4, rtol=0)


def test_a_text_tower_of_another_structure_is_refused(
    clip: open_clip.CLIP, tokenizer: CLIPTokenizer
) -> None:
    clip.token_embedding = nn.Embedding(len(tokenizer) + 1, clip.token_embedding.embedding_dim)
    with pytest.raises(RuntimeError, match="token_embedding"):
        text_encoder_from_clip(clip, tokenizer)
