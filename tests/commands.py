"""The command line as tests use it: in a subprocess, or within this process."""

import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch

from uniemo import cli

ROOT = Path(__file__).parents[1]


def run(*arguments: str, folder: Path, timeout: int = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "uniemo.cli", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def leave(*arguments: str) -> int:
    """Run a command that ends before it has trained, within this process; return its exit code."""
    # Lightning leaves LOCAL_RANK and the like, by which later processes would wait for others.
    with (
        mock.patch.dict(os.environ),
        mock.patch.object(sys, "argv", ["uniemo", *arguments]),
    ):
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


def fail(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail for the user's fault; return its one line."""
    code = leave(*arguments)
    if torch.distributed.is_initialized():  # this process lives on, unlike a user's
        torch.distributed.destroy_process_group()
    assert code == 2
    # Only our line: the many starts within one process make libraries' destructors complain too.
    lines = capsys.readouterr().err.splitlines()
    (line,) = [line for line in lines if line.startswith("error: ")]
    return line
