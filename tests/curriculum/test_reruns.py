from pathlib import Path
from types import SimpleNamespace

import pytest

from uniemo.curriculum import phases
from uniemo.curriculum.keep import LAST
from uniemo.curriculum.phases import DONE, run_phase


@pytest.mark.parametrize("again", ["joint", "generate"])
def test_a_phase_run_again_makes_later_ones_start_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, again: str
) -> None:
    for phase in phases.PHASES:
        (tmp_path / phase).mkdir()
        for name in (LAST, DONE):
            (tmp_path / phase / name).touch()
    given: list[list[str]] = []

    def command_line(arguments: list[str]) -> SimpleNamespace:
        given.append(arguments)
        return SimpleNamespace(trainer=SimpleNamespace(is_global_zero=True))

    monkeypatch.setattr(phases, "UniEmoCLI", command_line)
    monkeypatch.setattr(phases, "PHASE_ARGUMENTS", dict.fromkeys(phases.PHASES, lambda _: []))
    experiment = SimpleNamespace(folder=tmp_path)
    run_phase(again, experiment, "x.yaml", [])  # type: ignore[arg-type]
    assert not (tmp_path / "finetune" / DONE).exists()
    run_phase("finetune", experiment, "x.yaml", [])  # type: ignore[arg-type]
    assert not any("--ckpt_path" in arguments for arguments in given)
