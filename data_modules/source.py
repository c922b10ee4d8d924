"""Open a copy of EmoSet of either kind."""

from pathlib import Path

import datasets

from data_modules.hub_copy import HubCopy
from data_modules.layout import EmoSetLayout
from uniemo.errors import UserError


def open_source(root: str) -> EmoSetLayout | HubCopy:
    """Open a folder that holds EmoSet's layout, or a hub's copy of it.

    Raises:
        UserError: If there is no such folder, or it is neither.
    """
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"data folder {folder} does not exist; give one in EmoSet's layout, or a hub's copy of "
            "EmoSet saved to disk, as data.init_args.root"
        )
    if not (folder / "info.json").is_file() and HubCopy.found_in(folder):
        return HubCopy(folder)
    return EmoSetLayout.read(folder)


def cache_folder(cache_dir: str | None) -> Path:
    """The folder of our Arrow files: the one given, or one in the cache of HF ``datasets``."""
    if cache_dir is not None:
        return Path(cache_dir).expanduser()
    return Path(datasets.config.HF_DATASETS_CACHE) / "uniemo"
