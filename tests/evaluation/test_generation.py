"""Generated pictures against references; where they come from; what the queries point at."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.linalg import sqrtm
from sklearn.metrics import f1_score

from uniemo.emotions import EMOTIONS
from uniemo.errors import UserError
from uniemo.evaluation.generation import (
    EvaluationNetworks,
    GenerationEvaluation,
    nearest,
    without_nan,
)
from uniemo.evaluation.judge import Judge
from uniemo.evaluation.understanding import _f1_macro, read_composed_truth
from uniemo.vision.features import FeatureTable
from uniemo.vision.images import EmotionImageFolder, GeneratedBatch
from uniemo.vision.linear_probe import LinearProbe
from uniemo.vision.networks import ImageNetwork

SIDE, WIDTH = 4, 3 * 4 * 4


def network(name: str) -> ImageNetwork:
    return ImageNetwork(torch.nn.Flatten(), name, WIDTH, SIDE, (0.0,) * 3, (1.0,) * 3)


def pictures(n: int, seed: int) -> torch.Tensor:
    return torch.rand(n, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def real(n: int, seed: int) -> FeatureTable:
    features = pictures(n, seed).flatten(1)
    nothing = torch.full((n,), -1), torch.zeros(n, 0, dtype=torch.bool)
    return FeatureTable(features, torch.arange(n) % 8, *nothing, torch.arange(n))


@pytest.fixture
def yardsticks() -> EvaluationNetworks:
    generator = torch.Generator().manual_seed(5)
    probe = LinearProbe(torch.randn(8, WIDTH, generator=generator), torch.zeros(8))
    plain = network("plain")
    return EvaluationNetworks(
        Judge(plain, probe), plain, network("semantic"), network("perceptual"), None
    )


def evaluate(yardsticks, image, emotion, index, batch_size, published=False):
    evaluation = GenerationEvaluation(
        yardsticks, real(80, 1), real(64, 2), real(64, 2), emotion.bincount(), published,
        torch.device("cpu"),
    )  # fmt: skip
    for part in torch.arange(len(image)).split(batch_size):
        evaluation.update(GeneratedBatch(image[part], emotion[part], index[part]))
    return evaluation.compute()


def test_numbers_are_those_of_direct_computation(yardsticks):
    n = 72
    image, emotion = pictures(n, 3), torch.arange(n) // 9
    result = evaluate(yardsticks, image, emotion, torch.arange(n) % 9, 7).numbers
    x, y = real(64, 2).features.double().numpy(), image.flatten(1).double().numpy()
    means = np.square(x.mean(0) - y.mean(0)).sum()
    a, b = np.cov(x.T), np.cov(y.T)
    expected = means + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert result["fid"] == pytest.approx(expected, rel=1e-3)
    seen = yardsticks.judge(image).emotion.argmax(1)
    assert result["emo_a_8"] == pytest.approx((seen == emotion).double().mean().item())
    pairs = [
        np.square(y[i] - y[j]).mean()
        for e in range(8)
        for i in range(9 * e, 9 * e + 9)
        for j in range(i + 1, 9 * e + 9)
    ]
    assert result["sem_d"] == pytest.approx(np.mean(pairs), rel=1e-5)
    assert result["diversity"] == pytest.approx(WIDTH * np.mean(pairs), rel=1e-5)
    assert "sem_c" not in result  # these data name neither scenes nor objects
    assert "published" not in result


def test_published_pairs_mix_emotions_and_do_not_depend_on_batches(yardsticks):
    image, emotion = pictures(40, 4), torch.arange(40) // 5
    results = [
        evaluate(yardsticks, image, emotion, torch.arange(40) % 5, size, published=True).numbers
        for size in (3, 40)
    ]
    first, second = (result["published"] for result in results)
    assert first == pytest.approx(second)
    assert first["diversity"] == pytest.approx(WIDTH * first["sem_d"], rel=1e-5)


def test_copies_of_training_pictures_are_found(yardsticks):
    copies = real(80, 1).features[:16].view(16, 3, SIDE, SIDE)
    result = evaluate(yardsticks, copies, torch.arange(16) // 2, torch.arange(16) % 2, 5)
    assert result.numbers["near_copies"] == 1.0
    assert [shown.nearest for shown in result.shown] == list(range(16))
    fresh = evaluate(yardsticks, pictures(16, 9), torch.arange(16) // 2, torch.arange(16) % 2, 5)
    assert fresh.numbers["near_copies"] < 0.3


def test_nearest_is_brute_force():
    a = torch.nn.functional.normalize(torch.randn(7, 5), dim=1)
    b = torch.nn.functional.normalize(torch.randn(9, 5), dim=1)
    values, rows = nearest(a, b, chunk=2)
    for i in range(7):
        cosines = [(a[i] @ b[j]).item() for j in range(9)]
        assert rows[i] == int(np.argmax(cosines))
        assert values[i].item() == pytest.approx(max(cosines), abs=1e-6)


def test_json_holds_no_nan():
    content = {"a": [1.0, float("nan")], "b": (float("inf"), 2), "c": "nan"}
    assert without_nan(content) == {"a": [1.0, None], "b": [None, 2], "c": "nan"}


def test_macro_f1_of_resamples_is_scikit_learns():
    generator = np.random.default_rng(0)
    target, seen = generator.integers(0, 8, (2, 5, 200))
    ours = _f1_macro(torch.from_numpy(8 * target + seen).double())
    for row in range(5):
        expected = f1_score(target[row], seen[row], average="macro")
        assert ours[row].item() == pytest.approx(expected)


def test_folder_keeps_order_and_number_and_refuses_broken_pictures(image_folder, tmp_path):
    folder = EmotionImageFolder(image_folder, per_emotion=2, size=8)
    assert folder.counts.tolist() == [2] * 8
    batches = list(folder.batches(5))
    assert [len(batch.emotion) for batch in batches] == [5, 5, 5, 1]
    assert torch.cat([batch.index for batch in batches]).tolist() == [0, 1] * 8
    assert batches[0].image.shape == (5, 3, 8, 8)
    for name in EMOTIONS:
        (tmp_path / name).mkdir()
        for k in range(2):
            Image.new("RGB", (8, 8)).save(tmp_path / name / f"{k}.png")
    (tmp_path / "fear" / "1.png").write_bytes(b"broken")
    with pytest.raises(UserError, match="cannot be read"):
        list(EmotionImageFolder(tmp_path, 2, 8).batches(16))
    (tmp_path / "fear" / "1.png").unlink()
    with pytest.raises(UserError, match="fear holds 1 pictures"):
        EmotionImageFolder(tmp_path, 2, 8)


def test_boxes_are_relative_and_absent_where_the_data_have_none(composed, tiny_files):
    class Data:
        root = str(composed)

    truth = read_composed_truth(Data, "test")
    assert truth is not None
    rows = json.loads((composed / "test.json").read_text())
    assert len(truth.box) == len(rows) == len(truth.posterior)
    assert truth.box[0].tolist() == [0, 0.25, 0.5, 0.75]
    assert truth.box[3].isnan().all()
    Data.root = str(tiny_files["emoset"])
    assert read_composed_truth(Data, "test") is None
