"""``uniemo data merge`` and ``annotate``: data sets made of others, in EmoSet's layout."""

import json

import numpy as np
import pytest

from data_modules.source import open_source
from tests.data_modules.test_readers import write_classes
from tests.tiny import SCENES
from uniemo.cli.data import main
from uniemo.errors import UserError


def test_sets_of_other_names_are_merged_each_image_with_what_it_has(tiny_files, tmp_path) -> None:
    write_classes(tmp_path / "more", ("terror", "joyful"), 10)
    file = tmp_path / "two.yaml"
    positive = ["amusement", "awe", "contentment", "excitement", "joyful"]
    negative = ["anger", "disgust", "fear", "sadness", "terror"]
    labels = dict.fromkeys(positive, "good") | dict.fromkeys(negative, "bad")
    file.write_text(json.dumps({"names": ["good", "bad"], "labels": labels}))
    roots = json.dumps([str(tiny_files["emoset"]), str(tmp_path / "more")])
    out = tmp_path / "merged"
    with pytest.raises(SystemExit) as ended:
        main(["merge", "--roots", roots, "--out", str(out), "--emotions", str(file)])
    assert ended.value.code == 0
    source = open_source(str(out))
    assert source.emotions.names == ("good", "bad")
    assert source.scene_names == sorted(SCENES)
    table = source.table("train", tmp_path / "arrow")
    assert np.bincount(table["emotion"]).tolist() == [16 + 8, 16 + 8]
    first = open_source(str(tiny_files["emoset"]))
    theirs = first.table("train", tmp_path / "arrow")
    names = [first.scene_names[i] if i >= 0 else None for i in theirs["scene"]]
    own = [source.scene_names[i] if i >= 0 else None for i in table["scene"]]
    assert own == [*names, *[None] * 16]
    assert not np.isnan(table["brightness"]).any()
    with pytest.raises(SystemExit) as ended:  # it is there already
        main(["merge", "--roots", roots, "--out", str(out), "--emotions", str(file)])
    assert ended.value.code == 2


def test_clip_names_what_is_missing_and_its_agreement_is_measured(
    tiny_files, tmp_path, capsys
) -> None:
    for name, words in (("scenes", SCENES), ("objects", ["Cake", "Dog"])):
        (tmp_path / name).write_text("\n".join(words))
    main(
        [
            "annotate", str(tiny_files["emoset"]), "-o", str(tmp_path / "named"),
            "--scenes", str(tmp_path / "scenes"), "--objects", str(tmp_path / "objects"),
            "--template", "a photo of {}", "--template", "{}",
            "--clip", f"local-dir:{tiny_files['clip']}",
        ]
    )  # fmt: skip
    source = open_source(str(tmp_path / "named"))
    assert (source.scene_names, source.object_names) == (SCENES, ["Cake", "Dog"])
    table = source.table("train", tmp_path / "arrow")
    assert min(table["scene"]) >= 0
    assert all(len(objects) == 1 for objects in table["objects"])
    rows = json.loads((tmp_path / "named/train.json").read_text())
    annotation = json.loads((tmp_path / "named" / rows[0][-1]).read_text())
    assert annotation["scene_by"].startswith("CLIP local-dir:")
    true = open_source(str(tiny_files["emoset"]))
    known = hits = 0
    for split in true.splits:
        theirs = true.table(split, tmp_path / "arrow")["scene"]
        named = source.table(split, tmp_path / "arrow")["scene"]
        known += sum(index >= 0 for index in theirs)
        hits += sum(a == b >= 0 for a, b in zip(named, theirs, strict=True))
    assert f"scene: {hits / known:.1%} of {known}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["annotate", "x", "-o", "y"], "there is nothing to name"),
        (["merge"], None),
    ],
)
def test_wrong_arguments_are_named(arguments, words, capsys) -> None:
    with pytest.raises((UserError, SystemExit), match=words):
        main(arguments)
