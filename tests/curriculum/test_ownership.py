"""One process owns the folder of an experiment."""

import multiprocessing
import os
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from uniemo.curriculum.ownership import owned
from uniemo.errors import UserError


def own_until_told(folder: Path, told: Connection) -> None:
    with owned(folder):
        told.send("owned")
        told.recv()


def test_the_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    folder = tmp_path / "runs/x"
    first = context.Process(target=own_until_told, args=(folder, there))
    first.start()
    assert here.recv() == "owned"
    with pytest.raises(UserError, match=f"in use by process {first.pid}"), owned(folder):
        pytest.fail("owned twice")
    first.kill()
    first.join()
    (folder / "joint").mkdir()
    (folder / "joint/best.ckpt.0.part").write_bytes(b"half")
    with owned(folder):
        assert (folder / ".lock").read_text() == str(os.getpid())
    assert [path.name for path in folder.rglob("*")] == ["joint"]


def test_a_folder_that_stays_empty_is_not_left(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="wrong flag"), owned(tmp_path / "runs/x"):
        raise UserError("wrong flag")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UserError, match="runs"), owned(tmp_path / "runs/x"):
        pytest.fail("owned")
