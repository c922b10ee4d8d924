"""Paper scale without a download."""

import open_clip
import pytest

from uniemo.diffusion.random_weights import clip_tokenizer


@pytest.mark.parametrize("text", ["a", "bakery shop, an alarm clock!", "naïve café & 2024"])
def test_the_tokenizer_writes_what_open_clips_does(text):
    tokenizer = clip_tokenizer()
    ids = tokenizer(text).input_ids
    padding = [0] * (77 - len(ids))
    assert ids + padding == open_clip.get_tokenizer("ViT-L-14-quickgelu")([text])[0].tolist()
    assert (len(tokenizer), tokenizer.pad_token_id) == (49408, 49407)
