"""Configuration files: where they lie, and the parser that reads them."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import yaml
from jsonargparse import Namespace, set_parsing_settings
from lightning.pytorch.cli import LightningArgumentParser

from uniemo.config.messages import explain
from uniemo.errors import UserError, known_step, user_error

# The help of a settings class's field is the string below it.
set_parsing_settings(docstring_parse_attribute_docstrings=True)

GROUPS = ("model", "data", "checkpoints", "generate", "finetune", "eval", "trainer")
"""Keys of an experiment that hold further keys."""
LARGEST = 1_000_000
"""Bytes of the largest configuration that is read."""
TRUSTED = ("uniemo", "data_modules", "lightning", "torch")
"""Packages whose classes a configuration may name."""
UNTRUSTED = ("torch.hub", "torch.load", "torch.package", "torch.utils.cpp_extension")
"""What of them runs code from elsewhere."""


class KeyProblem(UserError):
    """A key or a value of a configuration is wrong."""


class Parser(LightningArgumentParser):
    """Lightning's parser; its errors are one line that names the key and the nearest valid one.

    A ``class_path`` is code: its module is run as soon as it is read.

    Attributes:
        trusted: Whether a configuration may name classes of any module, not of :data:`TRUSTED`
            alone.
    """

    trusted: ClassVar[bool] = False

    def __init__(self, **settings: Any) -> None:
        if not self.trusted:
            set_parsing_settings(
                import_path_denylist=["*", *UNTRUSTED], import_path_allowlist=list(TRUSTED)
            )
        super().__init__(**settings)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what went wrong as the user's error.

        Raises:
            UserError: Always.
        """
        own = ex and user_error(ex)  # of a settings class, which the parser has wrapped
        if own and not isinstance(own, KeyProblem):
            raise own
        raise KeyProblem(explain(message, self)) from ex

    def parse_args(  # type: ignore[override]  # jsonargparse's further arguments are not used
        self, args: Sequence[str]
    ) -> Namespace:
        """Parse a command line; the configurations in it are given by path or by name.

        Raises:
            UserError: If a file, a key or a value is wrong.
        """
        found = list(args)
        for i, argument in enumerate(found[:-1]):
            if argument in ("-c", "--config"):
                found[i + 1] = str(find_config(found[i + 1]))
        with known_step("the settings cannot be read", "correct them"):
            return super().parse_args(found)

    def parse_object(self, *args: Any, **settings: Any) -> Any:
        """Parse nested settings, as jsonargparse does.

        Raises:
            UserError: If a key or a value is wrong.
        """
        with known_step("the settings cannot be read", "correct them"):
            return super().parse_object(*args, **settings)


def shipped_configs() -> dict[str, Path]:
    """Return the configurations that the package brings, by name."""
    folder = Path(str(files("uniemo.experiments")))
    return {
        str(path.relative_to(folder).with_suffix("")): path
        for path in sorted(folder.rglob("*.yaml"))
    }


def find_config(name: str) -> Path:
    """Find a configuration by path, or by name among those the package brings.

    Raises:
        UserError: If there is none, or the file is no configuration.
    """
    path = Path(name)
    with known_step(f"configuration {name} cannot be read", "give a YAML file in UTF-8"):
        if path.is_file():
            _check_file(path)
            return path
    shipped = shipped_configs()
    short = name.removeprefix("experiments/").removesuffix(".yaml")
    if short in shipped:
        return shipped[short]
    raise UserError(
        f"configuration {name} does not exist; give a YAML file or one of {', '.join(shipped)}"
    )


def _check_file(path: Path) -> None:
    """Check that a file is YAML whose groups are groups; the parser's errors do not name it.

    Raises:
        UserError: If it is not.
        yaml.YAMLError: If it is no YAML.
        ValueError: If it is not in UTF-8.
    """
    if path.stat().st_size > LARGEST:
        raise UserError(f"configuration {path} has more than {LARGEST} bytes; give a smaller one")
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(
            f"configuration {path}, line {line}: {error.problem}; correct the YAML"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"configuration {path} holds no keys; write KEY: VALUE in it")
    for key in GROUPS:
        if key in content and not isinstance(content[key], dict):
            raise UserError(
                f"configuration {path}: key {key!r} is {content[key]!r:.60}, but should be a group "
                "of keys; write them below it, or leave it out"
            )
