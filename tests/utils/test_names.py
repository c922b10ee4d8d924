"""Names of EmoSet in plain words."""

import pytest

from uniemo.utils.names import readable


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bakery/shop", "bakery shop"),
        ("Alarm clock", "alarm clock"),
        ("art_gallery", "art gallery"),
    ],
)
def test_names_are_in_lower_case_with_spaces(name: str, expected: str) -> None:
    assert readable(name) == expected
