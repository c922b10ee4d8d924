"""Captions without emotion words, and the reduced vocabulary that spells them.

The one exception is the scene "amusement park".
"""

import gzip
import json
from pathlib import Path

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


def build_tokenizer(folder: Path) -> CLIPTokenizer:
    """Write a CLIP tokenizer with only the merges that the captions need, and load it.

    The merges are CLIP's own (open_clip ships them), in CLIP's order, so a word that the reduced
    vocabulary can spell is split into the same tokens. All 512 byte tokens stay, so any text can
    be encoded.

    Args:
        folder: Where ``vocab.json``, ``merges.txt`` and the configuration go.
    """
    archive = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    with gzip.open(archive, "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")
    merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    full = open_clip.SimpleTokenizer()
    text = " ".join(
        [_FURTHER_WORDS, PSEUDO_WORD, ",", *EMOTIONS, *map(words, SCENE_NAMES + OBJECT_NAMES)]
    )
    needed = {full.decoder[token] for token in full.encode(text)}
    kept = []
    for left, right in reversed(merges):  # a merge's parts were merged before it
        if left + right in needed:
            kept.append((left, right))
            needed |= {left, right}
    kept.reverse()

    byte_tokens = list(full.byte_encoder.values())
    vocabulary = byte_tokens + [f"{token}</w>" for token in byte_tokens]
    vocabulary += ["".join(pair) for pair in kept]
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]  # the highest index, as CLIP's pooling needs
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "\n".join(" ".join(pair) for pair in kept) + "\n"
    )
    tokenizer = CLIPTokenizer(
        vocab=str(folder / "vocab.json"),
        merges=str(folder / "merges.txt"),
        model_max_length=CONTEXT_LENGTH,
    )
    tokenizer.save_pretrained(folder)
    return tokenizer
