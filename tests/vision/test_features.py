"""Features of a data set: one pass for all requests, each table kept by itself."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from uniemo.vision.features import (
    FeatureCache,
    FeatureRequest,
    FeatureTable,
    Reconstruction,
    chosen_rows,
    diffusion_view,
)
from uniemo.vision.networks import ImageNetwork

N, SIDE = 13, 4
WIDTH = 3 * SIDE * SIDE


class Counted(torch.nn.Flatten):
    """Pixels as features; counts the images."""

    n_images = 0

    def forward(self, image: Tensor) -> Tensor:
        self.n_images += len(image)
        return super().forward(image)


def network(name: str) -> ImageNetwork:
    return ImageNetwork(Counted(), name, WIDTH, SIDE, (0.0,) * 3, (1.0,) * 3)


class Data:
    """Thirteen images in batches of five; counts the decoded ones."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.image = torch.rand(N, 3, SIDE, SIDE, generator=generator)
        self.objects = torch.rand(N, 2, generator=generator) < 0.5
        self.emotion, self.scene = torch.arange(N) % 8, torch.arange(N) % 3 - 1
        self.decoded = 0

    def annotations(self, split: str) -> SimpleNamespace:
        return SimpleNamespace(emotion=self.emotion)

    def fingerprint(self, split: str) -> str:
        return split

    def plain_dataloader(self, split: str, rows: list[int]) -> list[dict[str, Tensor]]:
        self.decoded += len(rows)
        return [
            {
                "diffusion_image": self.image[part] * 2 - 1,
                "emotion": self.emotion[part],
                "scene": self.scene[part],
                "objects": self.objects[part],
                "index": part,
            }
            for part in torch.tensor(rows).split(5)
        ]

    def expected(self, image: Tensor, limit: int | None = None) -> FeatureTable:
        columns = image.flatten(1), self.emotion, self.scene, self.objects, torch.arange(N)
        return FeatureTable(*(column[chosen_rows(self.emotion, limit)] for column in columns))


@pytest.fixture
def data() -> Data:
    return Data()


@pytest.fixture
def cache(data, tmp_path) -> FeatureCache:
    return FeatureCache(data, tmp_path, torch.device("cpu"))


def assert_same(actual: FeatureTable, expected: FeatureTable) -> None:
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_some_rows_are_the_same_share_of_each_emotion():
    emotion = torch.arange(800) % 8  # every second row is of every second emotion
    rows = chosen_rows(emotion, 400)
    assert emotion[rows].bincount().tolist() == [50] * 8
    assert rows.tolist() == chosen_rows(emotion, 400).tolist()
    assert chosen_rows(emotion, 800).all()
    assert chosen_rows(emotion, None).all()


@pytest.mark.parametrize("limit", [12, 2])
def test_one_pass_serves_all_requests(data, cache, limit):
    darker = Reconstruction(lambda image: image / 2, "darker")
    real = FeatureRequest(network("a"), diffusion_view(SIDE))
    other = real._replace(network=network("b"))
    reconstructed = real._replace(reconstruction=darker, limit=limit)
    first, second, third, again = cache.load([real, reconstructed, other, real], "train")
    assert data.decoded == N
    assert_same(first, data.expected(data.image))
    assert_same(second, data.expected(data.image / 2, limit))
    assert_same(third, first)
    assert_same(again, first)
    assert real.network.network.n_images == N + len(second.row)


def test_only_missing_tables_are_computed(data, cache):
    real = FeatureRequest(network("a"), diffusion_view(SIDE))
    other = real._replace(network=network("b"))
    before = cache.load([real], "test")[0]
    after = cache.load([real, other], "test")
    assert data.decoded == 2 * N
    assert [request.network.network.n_images for request in (real, other)] == [N, N]
    assert_same(after[0], before)
    for path in cache.cache.iterdir():  # cut by a full disk
        content = path.read_bytes()
        path.unlink()  # tables that were loaded before are maps of the file
        path.write_bytes(content[:-1])
    assert_same(cache.load([real], "test")[0], before)
    assert data.decoded == 3 * N
    cache.load([other], "test")
    assert data.decoded == 4 * N
    limited = real._replace(limit=4)
    cache.load([limited, real], "test")
    assert data.decoded == 4 * N + int(chosen_rows(data.emotion, 4).sum())
