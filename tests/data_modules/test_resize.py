"""``uniemo data resize``: a smaller copy that opens like its original."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from data_modules import EmoSetDataModule
from data_modules.resize import main, resize
from uniemo.errors import UserError


def test_the_copy_is_the_data_set_with_smaller_images(own_root, tmp_path):
    root = own_root
    rows = json.loads((root / "train.json").read_text())
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    large = Image.fromarray(pixels).resize((400, 300), Image.Resampling.BICUBIC)
    large.save(root / rows[0][-2])
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    large.save(root / rows[1][-2], exif=exif)
    Image.new("RGB", (20, 30)).save(root / rows[2][-2])

    out = tmp_path / "copy"
    resize(root, out, side=40)
    own, copy = (
        EmoSetDataModule(str(folder), cache_dir=str(tmp_path / "cache")) for folder in (root, out)
    )
    assert copy.image_ids("train") == own.image_ids("train")
    for one, other in zip(copy.annotations("train"), own.annotations("train"), strict=True):
        assert torch.equal(one.nan_to_num(), other.nan_to_num())
    sizes = [Image.open(out / row[-2]).size for row in json.loads((out / "train.json").read_text())]
    assert sizes[:3] == [(53, 40), (40, 53), (20, 30)]
    expected = np.asarray(large.resize((53, 40), Image.Resampling.BICUBIC), dtype=float)
    found = np.asarray(Image.open(out / rows[0][-2]), dtype=float)
    assert np.abs(found - expected).mean() < 5  # of two JPEG files

    kept = {path: path.stat().st_mtime_ns for path in (out / "image").rglob("*.jpg")}
    removed = next(iter(kept))
    (out / "annotation" / removed.parent.name / f"{removed.stem}.json").unlink()
    resize(root, out, side=40)  # completes the copy
    changed = {path for path in kept if path.stat().st_mtime_ns != kept[path]}
    assert changed == {removed}
    with pytest.raises(UserError, match="is no such copy"):
        resize(root, out, side=50)


def test_errors_are_one_line(own_root, tmp_path, capsys):
    root = own_root
    arguments = ["--root", str(root), "--out", str(tmp_path / "copy")]
    assert main([*arguments, "--side", "8"]) == 2
    assert "give 32 pixels or more" in capsys.readouterr().err
    row = json.loads((root / "train.json").read_text())[0]
    (root / row[-2]).write_bytes(b"no image")
    assert main([*arguments, "--side", "40"]) == 2
    assert row[-2] in capsys.readouterr().err
    assert not (tmp_path / "copy" / "train.json").exists()
