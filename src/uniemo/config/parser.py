"""Configuration files: where they lie, and the parser that reads them."""

from importlib.resources import files
from pathlib import Path
from typing import NoReturn

from jsonargparse import set_parsing_settings
from lightning.pytorch.cli import LightningArgumentParser

from uniemo.config.messages import explain
from uniemo.errors import UserError

# The help of a settings class's field is the string below it.
set_parsing_settings(docstring_parse_attribute_docstrings=True)


class Parser(LightningArgumentParser):
    """Lightning's parser; its errors are one line that names the key and the nearest valid one."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what went wrong as the user's error.

        Raises:
            UserError: Always.
        """
        raise UserError(explain(message, self)) from ex


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
        UserError: If there is none.
    """
    if Path(name).is_file():
        return Path(name)
    shipped = shipped_configs()
    short = name.removeprefix("experiments/").removesuffix(".yaml")
    if short in shipped:
        return shipped[short]
    raise UserError(
        f"configuration {name} does not exist; give a YAML file or one of {', '.join(shipped)}"
    )
