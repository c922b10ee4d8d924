"""Which arms of the structure's study are run."""

import pytest

from tests.conftest import settings
from uniemo.study import structure
from uniemo.study.plan import PROFILES, build_trials


@pytest.mark.parametrize("evidence", ["true", "false"])
def test_an_arm_that_changes_nothing_is_none(evidence, tiny_files, tmp_path):
    given = settings(tiny_files, **{"runs": tmp_path, "model.model.evidence": evidence})
    trial = next(build_trials("emoscenes", given, PROFILES["full"], tmp_path / "results"))
    same = set() if evidence == "true" else {"feature_alone"}
    assert set(structure.records(trial)) == {"default", *structure.CHANGES} - same
