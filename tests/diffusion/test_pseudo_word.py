import copy
import threading

import pytest
import torch
from transformers import CLIPTokenizer

from uniemo.diffusion import StableDiffusion
from uniemo.diffusion.pseudo_word import PromptEncoder
from uniemo.errors import UserError


def embeddings(head: StableDiffusion, tokenizer: CLIPTokenizer, words: str) -> torch.Tensor:
    ids = tokenizer(words, add_special_tokens=False, return_tensors="pt").input_ids[0]
    return head.text_encoder.get_input_embeddings()(ids)


@pytest.mark.parametrize("prompt", ["a *", "* of", "a *, at", "*.", "of *-* a", "(*)"])
def test_embedding_of_a_real_word_equals_the_plain_prompt(
    head: StableDiffusion, tokenizer: CLIPTokenizer, prompt: str
) -> None:
    words = embeddings(head, tokenizer, "cat dog")
    plain = [prompt.replace("*", word) for word in ("cat", "dog")]
    ids = tokenizer(plain, padding="max_length", truncation=True, return_tensors="pt").input_ids
    expected = head.text_encoder(ids).last_hidden_state
    assert torch.equal(head.condition(words, prompt), expected)
    assert torch.equal(head.prompts.encode(plain), expected)
    assert not torch.equal(expected[0], expected[1])


def test_a_name_is_the_mean_of_its_words_tokens(
    head: StableDiffusion, tokenizer: CLIPTokenizer
) -> None:
    found = head.prompts.embed_names(["Cat", "dog_of", "dog/cat"])
    for row, words in zip(found, ["cat", "dog of", "dog cat"], strict=True):
        torch.testing.assert_close(row, embeddings(head, tokenizer, words).mean(dim=0))
    assert not found.requires_grad


def test_every_image_may_have_its_own_prompt(head: StableDiffusion) -> None:
    words = torch.randn(2, 16)
    both = head.condition(words, ["a *", "* of a"])
    torch.testing.assert_close(both[:1], head.condition(words[:1], "a *"))
    torch.testing.assert_close(both[1:], head.condition(words[1:], "* of a"))


def test_gradient_equals_finite_differences_and_each_image_has_its_own(
    head: StableDiffusion,
) -> None:
    text_encoder = copy.deepcopy(head.text_encoder).double()
    prompts = PromptEncoder(text_encoder, head.prompts.tokenizer)
    words = torch.randn(3, 16, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(12, 16, dtype=torch.float64)

    def score(words: torch.Tensor) -> torch.Tensor:
        return (prompts.inject(words, "of * a *") * weights).sum((1, 2))

    assert torch.autograd.gradcheck(score, words)
    (whole,) = torch.autograd.grad(score(words).mean(), words)
    for i in range(3):
        (alone,) = torch.autograd.grad(score(words[i : i + 1]).mean(), words)
        torch.testing.assert_close(whole[i] * 3, alone[i])
        assert alone.count_nonzero() == 16


def test_the_pseudo_word_changes_later_hidden_states_only(head: StableDiffusion) -> None:
    one, other = head.condition(torch.randn(2, 16), "of * a")
    assert torch.equal(one[:2], other[:2])
    assert (one[2:] != other[2:]).any(dim=1).all()


def test_no_hook_remains_on_the_text_encoder(head: StableDiffusion) -> None:
    before = head.prompts.encode(["a cat"])
    head.condition(torch.randn(1, 16), "a *")
    with pytest.raises(ValueError, match="expected"):
        head.condition(torch.randn(1, 3), "a *")
    assert not head.text_encoder.get_input_embeddings()._forward_hooks
    assert torch.equal(head.prompts.encode(["a cat"]), before)


def test_threads_do_not_read_each_others_words(head: StableDiffusion) -> None:
    words = torch.randn(4, 16)
    expected = [head.condition(word[None], "a *") for word in words]
    wrong = []

    def repeat(i: int) -> None:
        for _ in range(20):
            if not torch.equal(head.condition(words[i : i + 1], "a *"), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=repeat, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_prompt_first_read_in_inference_mode_serves_training(head: StableDiffusion) -> None:
    with torch.inference_mode():
        head.condition(torch.zeros(1, 16), "at of *")
    words = torch.zeros(1, 16, requires_grad=True)
    head.condition(words, "at of *").square().sum().backward()
    assert words.grad is not None


def test_bad_prompts_are_rejected(head: StableDiffusion) -> None:
    with pytest.raises(UserError, match="lacks the placeholder"):
        head.condition(torch.zeros(1, 16), "a cat")
    with pytest.raises(UserError, match="shorten it to 12"):
        head.condition(torch.zeros(1, 16), "a * " + "of " * 12)


def test_word_statistics_are_those_of_the_embedding_table(head):
    table = head.text_encoder.get_input_embeddings().weight.double()
    mean, std = head.prompts.word_statistics()
    torch.testing.assert_close(mean, table.mean(0).float())
    torch.testing.assert_close(std, (table - table.mean(0)).std(correction=0).float())
