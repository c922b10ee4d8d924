"""The emotions of a data set: order, polarity, limits."""

import pytest

from uniemo.emotions import EMOTIONS, NEGATIVE, POSITIVE, Emotions
from uniemo.errors import UserError


def test_mikels_eight_have_their_order_and_polarity() -> None:
    eight = Emotions.of(reversed(EMOTIONS))
    assert eight == Emotions()
    assert eight.names == EMOTIONS
    assert len(eight) == 8
    assert eight.two_classes == (POSITIVE,) * 4 + (NEGATIVE,) * 4


def test_other_emotions_keep_their_order_and_have_the_polarity_that_is_given_or_usual() -> None:
    six = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
    usual = Emotions.of(six)
    assert usual.names == six
    assert usual.two_classes is None
    assert [usual.polarity_name(i) for i in (3, 4, 5)] == ["positive", "negative", None]
    given = Emotions.of(six, {"surprise": "positive"})
    assert given.two_classes == (1, 1, 1, 0, 1, 0)
    assert Emotions.of(("negative", "positive")).two_classes is None  # they are the two classes


@pytest.mark.parametrize(
    ("names", "polarity", "words"),
    [
        (["joy"], None, "there are 1 emotions"),
        ([str(number) for number in range(65)], None, "there are 65 emotions"),
        (["joy", "joy"], None, "'joy' comes twice"),
        (["joy", "a/b"], None, "'a/b' cannot name a folder"),
        (["joy", ".fear"], None, "'.fear' cannot name a folder"),
        (["joy", "fear"], {"fear": "bad"}, "polarity 'bad' of emotion 'fear'"),
        (["joy", "fear"], {"awe": "positive"}, "of emotion 'awe'"),
    ],
)
def test_impossible_emotions_are_refused(names, polarity, words) -> None:
    with pytest.raises(UserError, match=words):
        Emotions.of(names, polarity)
