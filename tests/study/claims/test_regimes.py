"""Claims on data sets that lie beside the experiment's own."""

from pathlib import Path

from tests.conftest import settings
from uniemo.study.claims import CLAIMS
from uniemo.study.claims.regimes import REGIMES
from uniemo.study.trial import PROFILES, build_trials


def test_a_regime_is_run_where_its_data_set_is(tiny_files, tmp_path):
    root = tmp_path / "data"
    given = settings(tiny_files, **{"runs": tmp_path, "data.init_args.root": root})
    trial = next(build_trials("emoscenes", given, PROFILES["full"], tmp_path / "results"))
    regime = REGIMES[0]
    assert not regime.available(trial)
    Path(f"{root}_{regime.name}").mkdir()
    records = regime.available(trial)
    assert set(records) == set(regime.arms)
    for record in records.values():
        assert record.trial.experiment.config.data.init_args.root == f"{root}_{regime.name}"
        assert record.folder.is_relative_to(trial.folder / regime.name)
        assert record.trial.ledger == trial.ledger


def test_every_claim_that_the_profile_names_exists_and_is_asked_for():
    names = {claim.name for claim in CLAIMS}
    asked = {name for scale in PROFILES["full"].scales for name in scale.claims}
    assert asked == names
    assert {regime.name for regime in REGIMES} < asked
