from pathlib import Path

import open_clip
import pytest
import torch
from torch import Tensor
from transformers import CLIPTokenizer

from uniemo.backbones.stage import run
from uniemo.backbones.word_mapper import WordMapperStage
from uniemo.diffusion import StableDiffusion
from uniemo.understanding import ClipBackbone


@pytest.fixture
def backbone(clip: open_clip.CLIP, tokenizer: CLIPTokenizer) -> ClipBackbone:
    def tokenize(texts: list[str]) -> Tensor:
        return tokenizer(texts, padding="max_length", return_tensors="pt").input_ids

    return ClipBackbone(clip, tokenize, 64, (0.5,) * 3, (0.25,) * 3, {})


@pytest.fixture
def word_mapper(backbone: ClipBackbone, head: StableDiffusion) -> WordMapperStage:
    return WordMapperStage(backbone, head, seed=1, steps=2, batch_size=2, learning_rate=1e-2)


def test_words_start_among_the_real_ones(word_mapper: WordMapperStage) -> None:
    table = word_mapper.head.text_encoder.get_input_embeddings().weight
    torch.testing.assert_close(word_mapper.word_mean, table.mean(0))
    torch.testing.assert_close(word_mapper.word_std, (table - table.mean(0)).std(correction=0))
    seen = []
    word_mapper.head.prompts.inject = lambda words, prompt: seen.append((words, prompt))  # type: ignore[method-assign]
    word_mapper.encode(torch.rand(8, 3, 64, 64))
    words, prompt = seen[0]
    assert prompt == "a *"
    assert 0 < (words - word_mapper.word_mean).std() < 2 * word_mapper.word_std


def test_training_moves_the_map_and_no_frozen_weight(
    word_mapper: WordMapperStage, tmp_path: Path
) -> None:
    frozen = [*word_mapper.head.parameters(), *word_mapper.clip.parameters()]
    before = [weight.clone() for weight in frozen]
    moving = [weight.clone() for weight in word_mapper.mapper.parameters()]
    run(word_mapper, tmp_path)
    assert word_mapper.global_step == 2
    assert all(torch.equal(a, b) for a, b in zip(before, frozen, strict=True))
    assert all(weight.grad is None for weight in frozen)
    after = word_mapper.mapper.parameters()
    assert not any(torch.equal(a, b) for a, b in zip(moving, after, strict=True))


def test_images_get_words_of_their_own(word_mapper: WordMapperStage) -> None:
    states = word_mapper.encode(torch.rand(3, 3, 64, 64))
    assert states.shape[0] == 3
    assert not torch.equal(states[0], states[1])
