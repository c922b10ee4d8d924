"""Captions without emotion words, and the reduced vocabulary that spells them.

The one exception is the scene "amusement park".
"""

from typing import Any

import open_clip
from transformers import CLIPTokenizer

from data_modules.emoscenes import OBJECT_NAMES, SCENE_NAMES, words
from uniemo.emotions import EMOTIONS

CONTEXT_LENGTH = 16
"""Tokens of a caption, start and end included: 77 at paper scale."""

PSEUDO_WORD = "*"

_FURTHER_WORDS = "a an the of in on with and image photo picture painting that evokes feeling one"


def object_caption(name: str) -> str:
    """Return the caption of an image's object: ``"Lion"`` gives ``"a lion"``."""
    noun = words(name)
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


_OBJECTS, _SCENES = list(map(object_caption, OBJECT_NAMES)), list(map(words, SCENE_NAMES))

CAPTIONS = {
    "object": _OBJECTS,
    "scene": _SCENES,
    "pair": [f"{object_}, {scene}" for object_ in _OBJECTS for scene in _SCENES],
}
"""Captions by what they name, in the order of the names; the scene of a pair changes fastest."""


def build_tokenizer() -> CLIPTokenizer:
    """Return a CLIP tokenizer with only the merges that the captions need.

    The merges are CLIP's own (open_clip ships them), in CLIP's order, so a word that the reduced
    vocabulary can spell is split into the same tokens. All 512 byte tokens stay, so any text can
    be encoded.
    """
    full = open_clip.SimpleTokenizer()
    text = " ".join(
        [_FURTHER_WORDS, PSEUDO_WORD, ",", *EMOTIONS, *map(words, SCENE_NAMES + OBJECT_NAMES)]
    )
    needed = {full.decoder[token] for token in full.encode(text)}
    kept: list[Any] = []  # pairs, which the tokenizer's annotation does not know
    for left, right in reversed(full.bpe_ranks):  # a merge's parts were merged before it
        if left + right in needed:
            kept.append((left, right))
            needed |= {left, right}
    kept.reverse()

    byte_tokens = list(full.byte_encoder.values())
    vocabulary = byte_tokens + [f"{token}</w>" for token in byte_tokens]
    vocabulary += ["".join(pair) for pair in kept]
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]  # the highest index, as CLIP's pooling needs
    numbers = {token: i for i, token in enumerate(vocabulary)}
    return CLIPTokenizer(vocab=numbers, merges=kept, model_max_length=CONTEXT_LENGTH)
