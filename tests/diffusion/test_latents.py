import json
import multiprocessing
import pickle
import shutil
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
import torch

from uniemo.diffusion import LatentCache, StableDiffusion, latent_fingerprint
from uniemo.errors import UserError

N, SHAPE = 7, (4, 4, 4)
IMAGES = torch.rand(N, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


def batches(rows: list[int], size: int = 2) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for start in range(0, len(rows), size):
        index = torch.tensor(rows[start : start + size])
        yield index, IMAGES[index]


def fake_encode(image: torch.Tensor) -> torch.Tensor:
    return image[:, :1].repeat(1, 4, 1, 1)[..., ::2, ::2]


def test_lookup_gives_the_latents_of_both_flips(head: StableDiffusion, tmp_path: Path) -> None:
    cache = LatentCache(tmp_path, "print", N, SHAPE)
    cache.fill(head.encode, batches(cache.missing_rows()))
    assert cache.complete
    index, flipped = torch.tensor([6, 0, 0, 3]), torch.tensor([True, False, True, True])
    expected = torch.cat(
        [
            head.encode(IMAGES[i].flip(-1) if f else IMAGES[i])
            for i, f in zip(index[:, None], flipped, strict=True)
        ]
    )
    latents = cache.lookup(index, flipped)
    assert latents.dtype == torch.float32
    torch.testing.assert_close(latents, expected, rtol=2e-3, atol=1e-3)
    mirror_of_latent = cache.lookup(index, ~flipped).flip(-1)
    assert (mirror_of_latent - latents).abs().max() > 0.05


def test_another_process_opens_the_files_instead_of_copying_them(tmp_path: Path) -> None:
    cache = LatentCache(tmp_path, "print", 1000, SHAPE)
    cache.fill(fake_encode, batches([0, 1]))
    sent = pickle.dumps(cache.lookup)
    assert len(sent) < 1000
    index, flipped = torch.tensor([1, 0]), torch.tensor([True, False])
    assert torch.equal(pickle.loads(sent)(index, flipped), cache.lookup(index, flipped))


def test_an_interrupted_run_continues_where_it_stopped(tmp_path: Path) -> None:
    def dies(rows: list[int]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        yield from list(batches(rows))[:2]
        raise KeyboardInterrupt

    cache = LatentCache(tmp_path, "print", N, SHAPE)
    with pytest.raises(KeyboardInterrupt):
        cache.fill(fake_encode, dies(cache.missing_rows()))
    assert not cache.complete
    with pytest.raises(ValueError, match="not complete"):
        cache.lookup(torch.tensor([5]), torch.tensor([False]))

    resumed = LatentCache(tmp_path, "print", N, SHAPE)
    assert resumed.missing_rows() == [4, 5, 6]
    resumed.fill(fake_encode, batches(resumed.missing_rows()))
    undisturbed = LatentCache(tmp_path, "other", N, SHAPE)
    undisturbed.fill(fake_encode, batches(undisturbed.missing_rows()))
    for name in ("latents.npy", "encoded.npy"):
        assert (tmp_path / "print" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    assert LatentCache(tmp_path, "print", N, SHAPE).missing_rows() == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", "print"]


def fill_shard(folder: Path, rank: int, barrier: Barrier) -> None:
    barrier.wait()  # so that all processes create the cache at once
    cache = LatentCache(folder, "print", N, SHAPE)
    cache.fill(fake_encode, batches(cache.missing_rows(rank, 3)))


def test_processes_share_the_work(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    ranks = [context.Process(target=fill_shard, args=(tmp_path, r, barrier)) for r in range(3)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
        assert process.exitcode == 0
    cache = LatentCache(tmp_path, "print", N, SHAPE)
    assert cache.complete
    rows = torch.arange(N)
    for flipped in (False, True):
        image = IMAGES.flip(-1) if flipped else IMAGES
        expected = fake_encode(image).half().float()
        assert torch.equal(cache.lookup(rows, torch.full((N,), flipped)), expected)


def test_shards_are_disjoint_and_cover_all_at_any_moment(tmp_path: Path) -> None:
    cache = LatentCache(tmp_path, "print", N, SHAPE)
    first = cache.missing_rows(0, 2)
    cache.fill(fake_encode, batches(first[:2]))
    assert sorted(first + cache.missing_rows(1, 2)) == list(range(N))
    assert sorted(cache.missing_rows(0, 2) + cache.missing_rows(1, 2)) == cache.missing_rows()


def test_fingerprint_knows_neither_place_nor_version(folder: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    config = json.loads((moved / "vae/config.json").read_text())
    (moved / "vae/config.json").write_text(json.dumps(config | {"_diffusers_version": "0.1.0"}))
    here, there = (
        latent_fingerprint(StableDiffusion.from_pretrained(str(path), "float32").vae, 8, "emoset")
        for path in (folder, moved)
    )
    assert here == there


def test_fingerprint_changes_with_all_that_determines_a_latent(folder: Path) -> None:
    head, again, half = (
        StableDiffusion.from_pretrained(str(folder), dtype)
        for dtype in ("float32", "float32", "bfloat16")
    )
    base = latent_fingerprint(head.vae, 8, "emoset")
    assert latent_fingerprint(again.vae, 8, "emoset") == base
    head.vae.encoder.conv_in.bias.data[0] += 1e-3
    prints = {
        base,
        latent_fingerprint(head.vae, 8, "emoset"),
        latent_fingerprint(half.vae, 8, "emoset"),
        latent_fingerprint(head.vae, 16, "emoset"),
        latent_fingerprint(head.vae, 8, "emoscenes"),
    }
    assert len(prints) == 5


def test_what_cannot_be_cached_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = LatentCache(tmp_path, "print", N, SHAPE)
    with pytest.raises(ValueError, match="float16"):
        cache.fill(lambda image: torch.full((len(image), *SHAPE), 1e6), batches([0]))
    assert 0 in cache.missing_rows()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(UserError, match="make room"):
        LatentCache(tmp_path, "large", N, SHAPE)


@pytest.mark.parametrize("name", ["latents.npy", "encoded.npy"])
@pytest.mark.parametrize("left", [slice(0, -1), slice(0, 100), slice(0, 0)])
def test_a_broken_cache_is_named_and_made_anew(
    tmp_path: Path, name: str, left: slice, capsys: pytest.CaptureFixture[str]
) -> None:
    LatentCache(tmp_path, "print", N, SHAPE).fill(fake_encode, batches(list(range(N))))
    path = tmp_path / "print" / name
    path.write_bytes(path.read_bytes()[left])
    again = LatentCache(tmp_path, "print", N, SHAPE)
    assert again.missing_rows() == list(range(N))
    assert str(tmp_path / "print") in capsys.readouterr().out
    again.fill(fake_encode, batches(list(range(N))))
    assert LatentCache(tmp_path, "print", N, SHAPE).complete
    assert [path.name for path in tmp_path.iterdir()] == ["print"]


def test_file_is_plain_numpy(tmp_path: Path) -> None:
    LatentCache(tmp_path, "print", N, SHAPE)
    stored = np.load(tmp_path / "print" / "latents.npy", mmap_mode="r")
    assert (stored.shape, stored.dtype) == ((N, 2, *SHAPE), np.float16)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_gpu_encodes_and_looks_up_the_same_latents(
    folder: Path, tmp_path: Path, gpu: torch.device, dtype: Literal["float32", "bfloat16"]
) -> None:
    expected = StableDiffusion.from_pretrained(str(folder)).encode(IMAGES)
    head = StableDiffusion.from_pretrained(str(folder), dtype).to(gpu)
    cache = LatentCache(tmp_path, "print", N, SHAPE)
    cache.fill(head.encode, batches(cache.missing_rows()))
    index, flipped = torch.arange(N, device=gpu), torch.zeros(N, dtype=torch.bool, device=gpu)
    latents = cache.lookup(index, flipped)
    assert (latents.device.type, latents.dtype) == (gpu.type, torch.float32)
    error = (latents.cpu() - expected).norm() / expected.norm()
    assert error < (0.01 if dtype == "float32" else 0.05)
    decoded = head.decode(latents)
    assert decoded.device.type == gpu.type
    assert decoded.isfinite().all()


@pytest.mark.gpu
def test_the_fingerprint_does_not_depend_on_the_device(folder: Path, gpu: torch.device) -> None:
    head = StableDiffusion.from_pretrained(str(folder))
    base = latent_fingerprint(head.vae, 8, "emoset")
    assert latent_fingerprint(head.to(gpu).vae, 8, "emoset") == base
