"""Prompts for the frozen text encoder in which one word is given as an embedding instead of text.

The condition c is the embedding of one pseudo-word in the prompt (docs/method.md, "Condition").
Autograd computes its gradient; the public code needs a hook and a second backward pass instead
(docs/method.md, "Defects of the public code").

Legend: B images, T tokens of a padded prompt, W width of the text encoder, V tokens of its
vocabulary, K names.
"""

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from uniemo.errors import UserError
from uniemo.utils.names import readable

PLACEHOLDER = "*"
"""Marks the pseudo-word in a prompt. Prompts are split there before they are tokenised, so it need
not be a token: it is found in ``"*, at night"``."""


class TokenizedPrompt(NamedTuple):
    """A padded prompt: its token ids, and which of them are pseudo-words."""

    ids: Tensor  # [T] long
    is_word: Tensor  # [T] bool


def encode_with_words(
    text_encoder: CLIPTextModel, ids: Tensor, is_word: Tensor, words: Tensor
) -> Tensor:
    """Encode prompts, some of whose token embeddings are replaced by an embedding per image.

    Args:
        text_encoder: CLIP text encoder.
        ids: Token ids [B, T]; those of replaced tokens have no effect.
        is_word: Which tokens are replaced [B, T] bool; any number per image.
        words: Word embeddings [B, W], in the space of the text encoder's token embeddings.

    Returns:
        Hidden states [B, T, W] after the final layer norm, differentiable with respect to the
        words.
    """
    caller = threading.get_ident()

    def replace_words(_module: nn.Module, _inputs: object, embedded: Tensor) -> Tensor:
        if threading.get_ident() != caller:  # another thread uses the same module
            return embedded
        word = words.to(embedded)[:, None]  # [B, 1, W]
        return torch.where(is_word[..., None], word, embedded)  # [B, T, W]

    # transformers' CLIPTextModel accepts no embeddings, so a hook replaces them.
    hook = text_encoder.get_input_embeddings().register_forward_hook(replace_words)
    try:
        return text_encoder(ids).last_hidden_state  # [B, T, W]
    finally:
        hook.remove()


class PromptEncoder:
    """Encodes prompts, with or without a pseudo-word, to the text encoder's hidden states.

    Args:
        text_encoder: Frozen CLIP text encoder.
        tokenizer: Its tokenizer; without one no prompt can be encoded.

    Raises:
        UserError: If the tokenizer has more tokens than the encoder.
    """

    def __init__(self, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer | None) -> None:
        known = text_encoder.config.vocab_size
        if tokenizer is not None and len(tokenizer) > known:
            raise UserError(
                f"the tokenizer has {len(tokenizer)} tokens but the text encoder embeds {known}; "
                "take both from one Stable Diffusion"
            )
        self.text_encoder = text_encoder
        self.tokenizer = tokenizer
        self._tokenized: dict[tuple[str, torch.device], TokenizedPrompt] = {}

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Encode B plain prompts, in which a placeholder is ordinary text, to states [B, T, W].

        Raises:
            UserError: If a prompt is too long.
            ValueError: If there is no tokenizer.
        """
        ids = torch.stack([self._pad([self._tokens(p)], p).ids for p in prompts])  # [B, T]
        return self.text_encoder(ids.to(self.text_encoder.device)).last_hidden_state

    def word_statistics(self) -> tuple[Tensor, Tensor]:
        """Return mean [W] and spread [] of the token embeddings of real words, both float32.

        The spread is the root mean square deviation from the mean over all coordinates.
        """
        embedding: Any = self.text_encoder.get_input_embeddings()
        table: Tensor = embedding.weight.detach().double()  # [V, W], V tokens
        mean = table.mean(dim=0)
        return mean.float(), (table - mean).square().mean().sqrt().float()

    def embed_names(self, names: Sequence[str]) -> Tensor:
        """Return the mean token embedding of K names in EmoSet's spelling, [K, W] without gradient.

        Raises:
            ValueError: If there is no tokenizer.
        """
        embedding: Any = self.text_encoder.get_input_embeddings()
        table: Tensor = embedding.weight.detach()
        texts = [readable(name) for name in names]
        tokens = [torch.tensor(self._tokens(text), device=table.device) for text in texts]
        return torch.stack([table[ids].mean(dim=0) for ids in tokens])  # [K, W]

    def inject(self, words: Tensor, prompt: str | Sequence[str]) -> Tensor:
        """Encode prompts in which ``words[i]`` stands at the placeholder of prompt i.

        Args:
            words: Word embeddings c [B, W] (docs/method.md, "Condition"), in the space of the text
                encoder's token embeddings.
            prompt: One prompt for all images, or B prompts.

        Returns:
            Hidden states [B, T, W], differentiable with respect to the words.

        Raises:
            ValueError: If the shape of the words does not fit the prompts or the text encoder.
            UserError: If a prompt lacks the placeholder or is too long.
        """
        prompts = [prompt] * len(words) if isinstance(prompt, str) else list(prompt)
        expected = (len(prompts), self.text_encoder.config.hidden_size)
        if words.shape != expected:
            raise ValueError(f"words has shape {tuple(words.shape)}, expected {expected}")
        tokenized = [self.tokenize(text) for text in prompts]
        ids = torch.stack([tokens.ids for tokens in tokenized])  # [B, T]
        is_word = torch.stack([tokens.is_word for tokens in tokenized])  # [B, T]
        return encode_with_words(self.text_encoder, ids, is_word, words)

    def tokenize(self, prompt: str) -> TokenizedPrompt:
        """Tokenise a prompt, with one token per placeholder.

        The result is kept on the text encoder's device, so that a prompt is sent there once.

        Raises:
            UserError: If the prompt lacks the placeholder or is too long.
            ValueError: If there is no tokenizer.
        """
        device = self.text_encoder.device
        if (prompt, device) not in self._tokenized:
            pieces = prompt.split(PLACEHOLDER)
            if len(pieces) == 1:
                raise UserError(
                    f"prompt {prompt!r} lacks the placeholder {PLACEHOLDER!r}; "
                    f"write for instance 'a {PLACEHOLDER}'"
                )
            # Tensors made in inference mode could not be used in training.
            with torch.inference_mode(False):
                tokens = self._pad([self._tokens(piece) for piece in pieces], prompt)
                moved = TokenizedPrompt(*(each.to(device) for each in tokens))
            self._tokenized[prompt, device] = moved
        return self._tokenized[prompt, device]

    def _tokens(self, text: str) -> list[int]:
        if self.tokenizer is None:
            raise ValueError("this Stable Diffusion was built without a tokenizer; give it one")
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def _pad(self, pieces: list[list[int]], prompt: str) -> TokenizedPrompt:
        """Join pieces by a token per pseudo-word, add start and end tokens and pad to T."""
        assert self.tokenizer is not None
        length = self.text_encoder.config.max_position_embeddings
        stand_in = 0  # any valid id: its embedding is replaced
        ids, is_word = [self.tokenizer.bos_token_id, *pieces[0]], [False] * (1 + len(pieces[0]))
        for piece in pieces[1:]:
            ids += [stand_in, *piece]
            is_word += [True] + [False] * len(piece)
        ids.append(self.tokenizer.eos_token_id)
        padding = length - len(ids)
        if padding < 0:
            raise UserError(f"prompt {prompt!r} takes {len(ids)} tokens; shorten it to {length}")
        ids += [self.tokenizer.pad_token_id] * padding
        is_word += [False] * (length - len(is_word))
        return TokenizedPrompt(torch.tensor(ids), torch.tensor(is_word))
