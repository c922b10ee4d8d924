from pathlib import Path
from types import SimpleNamespace

import pytest

from uniemo.curriculum import phases
from uniemo.curriculum.keep import BEST, LAST
from uniemo.curriculum.phases import DONE, run_phase


@pytest.mark.parametrize("again", ["joint", "generate"])
def test_a_phase_run_again_makes_later_ones_start_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, again: str
) -> None:
    for phase in phases.PHASES:
        (tmp_path / phase).mkdir()
        for name in (BEST, LAST, DONE):
            (tmp_path / phase / name).touch()
    (tmp_path / "generate" / "train.json").touch()
    given: list[list[str]] = []

    def command_line(arguments: list[str]) -> SimpleNamespace:
        given.append(arguments)
        return SimpleNamespace(
            trainer=SimpleNamespace(is_global_zero=True, test=lambda *_, **__: [{}]),
            model=SimpleNamespace(head=None),
            datamodule=None,
        )

    monkeypatch.setattr(phases, "UniEmoCLI", command_line)
    monkeypatch.setattr(phases, "PHASE_ARGUMENTS", dict.fromkeys(phases.PHASES, lambda _: []))
    monkeypatch.setattr(phases, "print_results", lambda *_: None)
    experiment = SimpleNamespace(folder=tmp_path)
    run_phase(again, experiment, "x.yaml", [])  # type: ignore[arg-type]
    assert not (tmp_path / "finetune" / DONE).exists()
    run_phase("finetune", experiment, "x.yaml", [])  # type: ignore[arg-type]
    assert not any("--ckpt_path" in arguments for arguments in given)
