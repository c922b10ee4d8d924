"""Files appear whole or not at all."""

import json
import multiprocessing
import os
from pathlib import Path

import pyarrow
import pytest
import torch
from pyarrow import parquet
from safetensors.torch import load_file

from uniemo.utils.files import (
    atomic_path,
    part_of,
    read_json,
    remove_leftovers,
    write_bytes,
    write_json,
    write_table,
    write_tensors,
)

SIZE = 200_000


def test_every_kind_of_file_is_read_back_and_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "missing" / "folders"
    for value in (1, 2):
        write_bytes(folder / "bytes", bytes([value]))
        write_json(folder / "text.json", {"value": value, "name": "é"})
        write_table(folder / "table.parquet", pyarrow.table({"value": [value]}))
        write_tensors(folder / "tensors.safetensors", {"value": torch.full((2, 3), value).T})
        assert (folder / "bytes").read_bytes() == bytes([value])
        assert read_json(folder / "text.json") == {"value": value, "name": "é"}
        assert parquet.read_table(folder / "table.parquet").to_pydict() == {"value": [value]}
        assert load_file(folder / "tensors.safetensors")["value"].equal(torch.full((3, 2), value))
    assert len(list(folder.iterdir())) == 4  # no temporary file is left


def test_what_a_kill_has_left_is_removed_but_nothing_else(tmp_path: Path) -> None:
    dead = multiprocessing.Process(target=int)
    dead.start()
    dead.join()
    mine = part_of(tmp_path / "a")
    others = mine.with_name(mine.name.replace(str(os.getpid()), str(dead.pid)))
    foreign = [tmp_path / "my.part", tmp_path / "a.other-host-1-0.part"]
    for path in (mine, others, *foreign):
        path.touch()
    folder = others.with_name(others.name.replace("a.", "b.", 1))
    (folder / "inner").mkdir(parents=True)
    remove_leftovers(tmp_path / "missing")
    remove_leftovers(tmp_path, "b")
    assert set(tmp_path.iterdir()) == {mine, others, *foreign}
    remove_leftovers(tmp_path)
    assert set(tmp_path.iterdir()) == {mine, *foreign}


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, "old")
    with pytest.raises(TypeError):
        write_json(path, {"no JSON": object()})

    def half_a_file() -> None:
        with atomic_path(path) as part:
            part.write_bytes(b"half of the")
            raise KeyboardInterrupt

    def half_a_folder() -> None:
        with atomic_path(tmp_path / "folder") as part:
            part.mkdir()
            (part / "one").write_bytes(b"1")
            raise OSError("the disk is full")

    with pytest.raises(KeyboardInterrupt):
        half_a_file()
    with pytest.raises(OSError, match="disk"):
        half_a_folder()
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    assert read_json(path) == "old"


def test_a_folder_appears_once_with_all_its_files(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        try:
            with atomic_path(tmp_path / "folder") as part:
                part.mkdir()
                (part / "file").write_bytes(content)
                assert content == b"second" or not (tmp_path / "folder").exists()
        except OSError:
            assert content == b"second"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (tmp_path / "folder" / "file").read_bytes() == b"first"


def write_often(path: Path, letter: str) -> None:
    for _ in range(30):
        write_json(path, letter * SIZE)


def test_readers_never_meet_a_part_while_several_processes_write(tmp_path: Path) -> None:
    path = tmp_path / "shared.json"
    write_json(path, "a" * SIZE)
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_often, args=(path, letter)) for letter in "abc"]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        content = json.loads(path.read_text())
        assert content == content[0] * SIZE
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert [file.name for file in tmp_path.iterdir()] == ["shared.json"]


@pytest.mark.gpu
def test_tensors_are_written_from_the_gpu(tmp_path: Path, gpu: torch.device) -> None:
    write_tensors(tmp_path / "tensors", {"x": torch.arange(6, device=gpu).view(2, 3).T})
    assert load_file(tmp_path / "tensors")["x"].equal(torch.arange(6).view(2, 3).T)
