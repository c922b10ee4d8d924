"""Copies of EmoSet on hubs: images and emotions, no attributes.

Two forms are read: a ``DatasetDict`` saved to disk, and a folder of Parquet files. Their images
train with L_S and L_O masked out (docs/method.md, "Data").
"""

from pathlib import Path
from typing import Any, Final

import datasets
from datasets.features.features import FeatureType

from data_modules.layout import FEATURES
from uniemo.emotions import EMOTIONS, Emotions
from uniemo.errors import UserError
from uniemo.utils.emoset_files import SPLITS

_ALIASES: Final = {"train": ("train",), "val": ("val", "validation", "valid"), "test": ("test",)}
_LABEL_COLUMNS: Final = ("label", "labels")


class HubCopy:
    """A copy of EmoSet with only the columns ``image`` and ``label`` or ``labels``.

    Labels that have names (a ``ClassLabel``, or strings) are matched by name; bare integers are
    taken in the order of :data:`uniemo.emotions.EMOTIONS`, which is EmoSet's. Brightness and
    colorfulness are not known: NaN.

    Args:
        root: A folder written by ``DatasetDict.save_to_disk``, or one with Parquet files whose path
            under it names their split (``data/train-00000-of-00002.parquet``, ``test/0.parquet``).
    """

    emotions = Emotions()
    scene_names: list[str] = []
    object_names: list[str] = []

    def __init__(self, root: Path) -> None:
        self.root = root
        self._saved = (root / "dataset_dict.json").is_file()

    @staticmethod
    def found_in(root: Path) -> bool:
        """Return whether the folder is such a copy."""
        return (root / "dataset_dict.json").is_file() or any(root.rglob("*.parquet"))

    @property
    def splits(self) -> list[str]:
        """The splits that exist."""
        return [split for split in SPLITS if self._files(split)]

    def table(self, split: str, cache_dir: Path) -> datasets.Dataset:
        """Return a split in columns :data:`~data_modules.layout.FEATURES`; images stay in place.

        Raises:
            UserError: If the split is missing or empty, a column is missing, or a label is none of
                the eight emotions.
        """
        files = self._files(split)
        if not files:
            raise UserError(f"{self.root} holds no split {split!r}; add it, or use another copy")
        place = f"split {split!r} of {self.root}"
        try:
            if self._saved:
                copy = datasets.load_from_disk(str(files[0]))
            else:
                copy = datasets.load_dataset(
                    "parquet", data_files=[str(file) for file in files], split="train",
                    cache_dir=str(cache_dir),
                )  # fmt: skip
        except (OSError, ValueError, IndexError, datasets.exceptions.DatasetsError) as error:
            # datasets raises IndexError for a split saved without rows
            raise UserError(
                f"{place} is empty or damaged ({type(error).__name__}); use another copy"
            ) from None
        if len(copy) == 0:
            raise UserError(f"{place} is empty; use another copy")
        label_column = next((name for name in _LABEL_COLUMNS if name in copy.column_names), None)
        if "image" not in copy.column_names or label_column is None:
            raise UserError(
                f"{place} has the columns {', '.join(copy.column_names)}; "
                "it needs 'image' and 'label' or 'labels'"
            )
        images = copy.select_columns(["image"]).cast_column("image", FEATURES["image"])
        emotion = _emotions(list(copy[label_column]), copy.features[label_column], place)
        rows = len(copy)
        labels = datasets.Dataset.from_dict(
            {
                "image_id": [f"{split}_{row:06d}" for row in range(rows)],
                "emotion": emotion,
                "scene": [-1] * rows,
                "objects": [[]] * rows,
                "brightness": [float("nan")] * rows,
                "colorfulness": [float("nan")] * rows,
            },
            features=datasets.Features({k: v for k, v in FEATURES.items() if k != "image"}),
        )
        return datasets.concatenate_datasets([images, labels], axis=1)

    def _files(self, split: str) -> list[Path]:
        if self._saved:
            return [self.root / name for name in _ALIASES[split] if (self.root / name).is_dir()]
        return sorted(
            file
            for file in self.root.rglob("*.parquet")
            # data/train-00000-of-00002.parquet or train/0000.parquet
            if {file.stem.split("-")[0], *file.relative_to(self.root).parent.parts}
            & set(_ALIASES[split])
        )


def _emotions(labels: list[Any], feature: FeatureType, place: str) -> list[int]:
    """Translate a label column to indices into EMOTIONS."""
    names = feature.names if isinstance(feature, datasets.ClassLabel) else EMOTIONS
    translation: dict[Any, int] = {name: index for index, name in enumerate(EMOTIONS)}
    for index, name in enumerate(names):
        if name.lower() in EMOTIONS:
            translation[index] = EMOTIONS.index(name.lower())
    for label in labels:
        if not isinstance(label, int | str) or label not in translation:
            raise UserError(
                f"{place}: label {label!r} is none of the emotions {', '.join(EMOTIONS)}; "
                "each image needs one of them"
            )
    return [translation[label] for label in labels]
