"""Which arms of the structure's study are run."""

import pytest

from tests.conftest import settings
from uniemo.ablation import structure
from uniemo.ablation.plan import PROFILES, build_trials


class Unfinished:
    """The record of a run that has no result."""

    def recall(self) -> None:
        """Return nothing."""


@pytest.mark.parametrize("evidence", ["true", "false"])
def test_an_arm_that_changes_nothing_is_not_run(evidence, tiny_files, tmp_path, monkeypatch):
    ran: list[str] = []
    monkeypatch.setattr(structure, "joint", lambda trial: None)
    monkeypatch.setattr(structure, "Easel", lambda *_: object())
    monkeypatch.setattr(structure, "trained", lambda trial, arm: Unfinished())
    monkeypatch.setattr(structure, "train", lambda trial, arm, easel: ran.append(arm))
    given = settings(tiny_files, **{"runs": tmp_path, "model.model.evidence": evidence})
    structure.run(next(build_trials("emoscenes", given, PROFILES["full"])))
    same = [] if evidence == "true" else ["feature_alone"]
    assert ran == [arm for arm in structure.ARMS if arm not in same]
