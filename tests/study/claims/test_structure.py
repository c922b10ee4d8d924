"""Which arms of the claim ``structure`` are run."""

import pytest

from tests.conftest import settings
from uniemo.study.claims.structure import Structure
from uniemo.study.trial import PROFILES, build_trials


@pytest.mark.parametrize("evidence", ["true", "false"])
def test_an_arm_that_changes_nothing_is_none(evidence, tiny_files, tmp_path):
    given = settings(tiny_files, **{"runs": tmp_path, "model.model.evidence": evidence})
    trial = next(build_trials("emoscenes", given, PROFILES["full"], tmp_path / "results"))
    same = set() if evidence == "true" else {"feature_alone"}
    assert set(Structure().available(trial)) == set(Structure.arms) - same
