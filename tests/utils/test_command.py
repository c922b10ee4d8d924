from pathlib import Path

import pytest

from uniemo.errors import UserError
from uniemo.utils.command import run_command


def example(root: Path, steps: int | None = None, fails: bool = False) -> None:
    """Write an example.

    Args:
        root: Where it goes.
        steps: How many.
        fails: Whether it fails.
    """
    if fails:
        raise UserError(f"{root} is missing;\ngive another")
    print(repr(root), steps)


def test_flags_are_the_arguments_of_the_function(capsys: pytest.CaptureFixture) -> None:
    assert run_command(example, ["--root", "a/b", "--steps", "3"], "example") == 0
    assert capsys.readouterr().out == f"{Path('a/b')!r} 3\n"
    with pytest.raises(SystemExit, match="0"):
        run_command(example, ["--help"], "example")
    assert "Where it goes." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--root", "x", "--fails", "true"], "x is missing; give another"),
        (["--root", "x", "--steps", "many"], "steps"),
        (["--root", "x", "--step", "3"], "--step 3"),  # no abbreviations
        ([], "root"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture, arguments: list[str], words: str
) -> None:
    assert run_command(example, arguments, "example") == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("error: ")
    assert words in captured.err
