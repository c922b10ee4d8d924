"""Data sets of other forms than EmoSet's: class folders, tables of files, HF datasets."""

import csv
import json
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from data_modules import EmoSetDataModule
from data_modules.source import ReaderConfig, open_source
from uniemo.emotions import EMOTIONS
from uniemo.errors import UserError

SIX = ("anger", "disgust", "fear", "joy", "sadness", "surprise")


def write_image(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 255, (3, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((32, 24), Image.Resampling.BICUBIC).save(path)


def write_classes(root: Path, names: tuple[str, ...], each: int) -> Path:
    for k, name in enumerate(names):
        for i in range(each):
            write_image(root / name / f"{i}.png", 100 * k + i)
    return root


def write_csv(path: Path, rows: list[dict]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


def module(root: Path, tmp_path: Path, **settings: object) -> EmoSetDataModule:
    defaults = {
        "batch_size": 4, "eval_batch_size": 4, "clip_size": 16, "diffusion_size": None,
        "num_workers": 0, "cache_dir": str(tmp_path / "arrow"),
    }  # fmt: skip
    return EmoSetDataModule(str(root), **(defaults | settings))  # type: ignore[arg-type]


# --- Folders --------------------------------------------------------------------------------------


def test_class_folders_are_shared_out_stratified_and_always_alike(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "six", SIX, 10)
    (root / "joy" / ".hidden.png").write_bytes(b"")
    source = open_source(str(root))
    assert source.emotions.names == SIX
    assert source.emotions.two_classes is None  # surprise is neither
    assert source.splits == ["train", "val", "test"]
    tables = {split: source.table(split, tmp_path / "arrow") for split in source.splits}
    for split, each in (("train", 8), ("val", 1), ("test", 1)):
        assert np.bincount(tables[split]["emotion"]).tolist() == [each] * 6
    ids = [name for table in tables.values() for name in table["image_id"]]
    assert len(set(ids)) == 60
    again = open_source(str(root)).table("test", tmp_path / "arrow2")
    assert list(again["image_id"]) == list(tables["test"]["image_id"])
    for row in tables["val"]:
        assert SIX[row["emotion"]] == Path(row["image"]["path"]).parent.name


def test_splits_of_a_folder_are_kept_and_a_missing_val_comes_from_train(tmp_path: Path) -> None:
    write_classes(tmp_path / "two/Train", ("Positive", "Negative"), 9)
    write_classes(tmp_path / "two/test", ("Positive", "Negative"), 2)
    source = open_source(str(tmp_path / "two"))
    assert source.emotions.names == ("negative", "positive")
    counts = {split: len(source.table(split, tmp_path)) for split in source.splits}
    assert counts == {"train": 16, "val": 2, "test": 4}


def test_mikels_folders_have_mikels_order_whatever_the_alphabet_says(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "fi", EMOTIONS, 1)
    source = open_source(str(root), ReaderConfig(shares=(1, 0, 0)))
    assert source.emotions.names == EMOTIONS
    assert sorted(source.table("train", tmp_path)["emotion"]) == list(range(8))


def test_a_yaml_file_gives_order_polarity_and_further_labels(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "own", ("happy", "joyful", "Terror"), 4)
    file = tmp_path / "emotions.yaml"
    file.write_text(
        "names: [fear, joy]\npolarity: {fear: negative}\n"
        "labels: {happy: joy, joyful: joy, terror: fear}\n"
    )
    source = open_source(str(root), ReaderConfig(emotions=str(file), shares=(1, 0, 0)))
    assert source.emotions.names == ("fear", "joy")
    assert np.bincount(source.table("train", tmp_path)["emotion"]).tolist() == [4, 8]
    file.write_text("names: [fear, joy]\n")
    with pytest.raises(UserError, match=r"own, row 0: label 'Terror' is none of .* fear, joy"):
        open_source(str(root), ReaderConfig(emotions=str(file))).table("train", tmp_path)


# --- Tables ---------------------------------------------------------------------------------------


def votes_table(tmp_path: Path) -> Path:
    rows = []
    for i in range(20):
        write_image(tmp_path / f"pictures/{i}.jpg", i)
        rows.append(
            {
                "picture": str(i) if i % 2 else f"pictures/{i}.jpg",
                "joy": i, "fear": 20 - i, "where": ["beach", "", "Alley"][i % 3],
                "things": "dog; cat" if i % 2 else "", "valence": i / 10, "subset": "train",
            }
        )  # fmt: skip
    rows[19]["subset"] = "test"
    return write_csv(tmp_path / "table.csv", rows)


COLUMNS = {
    "image": "picture", "votes": ["joy", "fear"], "scene": "where", "objects": "things",
    "split": "subset",
}  # fmt: skip


def test_a_table_gives_votes_names_and_numbers_by_its_map(tmp_path: Path) -> None:
    own = module(votes_table(tmp_path), tmp_path, columns=COLUMNS)
    assert own.emotions.names == ("joy", "fear")
    assert own.scene_names == ["Alley", "beach"]
    assert own.object_names == ["cat", "dog"]
    own.prepare_data()
    batch = next(iter(own.plain_dataloader("test")))
    np.testing.assert_allclose(batch["votes"], [[0.95, 0.05]])
    assert batch["emotion"].tolist() == [0]
    assert batch["valence"].item() == pytest.approx(1.9)
    assert own.image_ids("test") == ["pictures/19"]
    batch = next(iter(own.plain_dataloader("val")))  # a share of train
    row = int(batch["image_id"][0].removeprefix("pictures/"))
    np.testing.assert_allclose(batch["votes"][0], [row / 20, 1 - row / 20], atol=1e-6)
    assert batch["scene"][0] == [1, -1, 0][row % 3]
    assert batch["objects"][0].tolist() == [bool(row % 2)] * 2


def test_json_lines_are_read_and_cells_may_be_lists(tmp_path: Path) -> None:
    for i in range(4):
        write_image(tmp_path / f"{i}.png", i)
    rows = [
        {"path": f"{i}.png", "emotion": i % 2, "votes": [3 - i, i], "objects": ["a", "b"][: i % 3]}
        for i in range(4)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "two.yaml").write_text("names: [fear, joy]")
    config = ReaderConfig("table", emotions=str(tmp_path / "two.yaml"), shares=(1, 0, 0))
    table = open_source(str(tmp_path / "rows.jsonl"), config).table("train", tmp_path)
    assert list(table["emotion"]) == [0, 0, 1, 1]  # the most votes
    assert list(table["objects"]) == [[], [0], [0, 1], []]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"columns": {"image": "nothing"}}, "table.csv has no column 'nothing'; it has picture"),
        ({"columns": {"colour": "joy"}}, "columns has 'colour'"),
        ({"columns": None}, "it needs an image and a label or votes"),
        ({"shares": (0, 1, 0)}, "shares is"),
        ({"reader": "folder"}, "does not exist; give one of class folders"),
        ({"emotions": "nowhere.yaml"}, "nowhere.yaml, the file of emotions, does not exist"),
    ],
)
def test_an_impossible_setting_is_named(tmp_path: Path, change: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        module(votes_table(tmp_path), tmp_path, **({"columns": COLUMNS} | change)).prepare_data()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("pictures/4.jpg", "pictures/nothing.jpg", r"row 6: image .*nothing\.jpg is missing"),
        (",4,16,", ",-4,16,", r"table\.csv, row 6: the votes are \[-4.0, 16.0\]"),
        (",4,16,", ",four,16,", r"row 6: a vote is 'four'; give a number"),
        (",0.4,train", ",,train", r"row 6: valence is ''"),
        (",0.4,train", ",0.4,trian", r"row 6: the split must be train, val or test"),
        (",0.4,train", ",0.4", r"row 6 has 6 columns; the first has 7"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    table = votes_table(tmp_path)
    text = table.read_text()
    assert text.count(old) == 1
    table.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=words) as caught:
        module(table, tmp_path, columns=COLUMNS).prepare_data()
    assert "\n" not in str(caught.value)


# --- HF datasets ----------------------------------------------------------------------------------


REVERSED = list(reversed(EMOTIONS))


def hub_rows(labels: list) -> dict:
    images = [Image.new("RGB", (20, 16), (30 * index, 0, 0)) for index in range(len(labels))]
    return {"image": images, "label": labels}


@pytest.mark.parametrize("saved", [True, False], ids=["save_to_disk", "parquet"])
def test_hub_copies_match_named_labels_by_name(tmp_path, saved):
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=REVERSED)}
    )
    copy = datasets.Dataset.from_dict(hub_rows([0, 7, 3]), features=features)
    root = tmp_path / "copy"
    if saved:
        datasets.DatasetDict({"train": copy, "validation": copy}).save_to_disk(root)
    else:
        (root / "data").mkdir(parents=True)
        copy.to_parquet(root / "data" / "train-00000-of-00001.parquet")
        copy.to_parquet(root / "data" / "validation-00000-of-00001.parquet")
    source = open_source(str(root))
    table = source.table("val", tmp_path / "arrow")
    assert source.splits == ["train", "val"]
    assert source.scene_names == source.object_names == []
    assert [EMOTIONS[index] for index in table["emotion"]] == [
        REVERSED[0],
        REVERSED[7],
        REVERSED[3],
    ]
    assert list(table["scene"]) == [-1, -1, -1]
    assert list(table["objects"]) == [[], [], []]
    assert isinstance(table[0]["image"]["bytes"], bytes)


def test_hub_copies_take_bare_integers_in_emosets_order(tmp_path):
    rows = hub_rows([5, 0])
    copy = datasets.Dataset.from_dict({"image": rows["image"], "labels": rows["label"]})
    datasets.DatasetDict({"train": copy}).save_to_disk(tmp_path / "copy")
    source = open_source(str(tmp_path / "copy"))
    assert list(source.table("train", tmp_path)["emotion"]) == [5, 0]
    with pytest.raises(UserError, match="no split 'test'"):
        source.table("test", tmp_path)


def test_a_single_saved_data_set_is_shared_out(tmp_path: Path) -> None:
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["Sad", "Glad"])}
    )
    rows = datasets.Dataset.from_dict(hub_rows([0, 1] * 10), features=features)
    rows.save_to_disk(tmp_path / "copy")
    source = open_source(str(tmp_path / "copy"))
    assert source.emotions.names == ("sad", "glad")
    counts = {split: np.bincount(source.table(split, tmp_path)["emotion"]).tolist()
              for split in source.splits}  # fmt: skip
    assert counts == {"train": [8, 8], "val": [1, 1], "test": [1, 1]}
    assert isinstance(source.table("val", tmp_path)[0]["image"]["bytes"], bytes)


@pytest.mark.parametrize(
    ("rows", "words"),
    [(hub_rows([9]), "label 9"), ({"image": [], "label": []}, "empty"), ({"a": [1]}, "columns a")],
)
def test_broken_hub_copies_are_named(tmp_path, rows, words):
    copy = datasets.Dataset.from_dict(rows)
    datasets.DatasetDict({"train": copy}).save_to_disk(tmp_path / "copy")
    with pytest.raises(UserError, match=words):
        open_source(str(tmp_path / "copy")).table("train", tmp_path)


def test_unreadable_pictures_are_left_out_up_to_a_limit_and_listed(tmp_path: Path, capsys) -> None:
    root = write_classes(tmp_path / "two", ("joy", "fear"), 6)
    (root / "joy/3.png").write_bytes(b"no picture")
    own = module(root, tmp_path, shares=(1, 0, 0), max_unreadable=1)
    own.prepare_data()
    assert len(own.annotations("train").emotion) == 11
    assert "joy/3" not in own.image_ids("train")
    (listed,) = Path(own.cache_dir).glob("unreadable-*.json")
    assert str(listed) in capsys.readouterr().out
    assert json.loads(listed.read_text())[0][1] == "joy/3"
    (root / "fear/0.png").write_bytes(b"")
    with pytest.raises(UserError, match="2 images of train cannot be read, more than"):
        module(root, tmp_path, shares=(1, 0, 0), max_unreadable=1).prepare_data()
