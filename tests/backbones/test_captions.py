import re

import open_clip
from transformers import CLIPTokenizer

from data_modules.emoscenes import OBJECT_NAMES, SCENE_NAMES, words
from uniemo.backbones.captions import CONTEXT_LENGTH, object_caption
from uniemo.emotions import EMOTIONS


def test_no_caption_but_that_of_the_amusement_park_holds_an_emotion_word() -> None:
    captions = [
        *map(words, SCENE_NAMES + OBJECT_NAMES),
        *map(object_caption, OBJECT_NAMES),
    ]
    assert [text for text in captions if any(emotion in text for emotion in EMOTIONS)] == [
        "amusement park"
    ]


def test_the_reduced_vocabulary_cuts_every_caption_into_clips_own_pieces(
    tokenizer: CLIPTokenizer,
) -> None:
    full = open_clip.SimpleTokenizer()
    for text in map(words, SCENE_NAMES + OBJECT_NAMES + EMOTIONS):
        pieces = tokenizer.convert_ids_to_tokens(tokenizer(text).input_ids[1:-1])
        assert pieces == [full.decoder[token] for token in full.encode(text)]
        assert len(pieces) + 2 <= CONTEXT_LENGTH


def test_an_objects_caption_has_its_article() -> None:
    assert object_caption("Lion") == "a lion"
    for name in OBJECT_NAMES:
        assert re.match("an [aeiou]|a [^aeiou]", object_caption(name))
