"""The data module: its batches, and that they depend on (seed, epoch, row) only."""

import json
from pathlib import Path

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from data_modules import EmoSetDataModule
from tests.tiny import write_emoset
from uniemo.batch import Batch
from uniemo.errors import UserError


def assert_equal(one: Batch, other: Batch) -> None:
    assert one.keys() == other.keys()
    for key in one:
        if key == "image_id":
            assert one[key] == other[key]
        else:
            assert torch.equal(one[key], other[key]), key


def train_batches(module, epoch: int = 0) -> list[Batch]:
    loader = module.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader)


def test_batches_have_the_contracts_names_shapes_and_types(data_module):
    further = {"latent", "noise", "timestep", "votes", "valence", "arousal"}
    plain = Batch.__annotations__.keys() - further
    training = train_batches(data_module())[0]
    assert training.keys() == plain - {"diffusion_image"}
    batch = next(iter(data_module(eval_batch_size=6).plain_dataloader("train")))
    assert batch.keys() == plain
    shapes = {
        "clip_image": ((6, 3, 16, 16), torch.float32),
        "diffusion_image": ((6, 3, 24, 24), torch.float32),
        "emotion": ((6,), torch.long),
        "scene": ((6,), torch.long),
        "objects": ((6, 4), torch.bool),
        "brightness": ((6,), torch.float32),
        "colorfulness": ((6,), torch.float32),
        "index": ((6,), torch.long),
        "flipped": ((6,), torch.bool),
        "generated": ((6,), torch.bool),
    }
    for key, (shape, dtype) in shapes.items():
        assert (tuple(batch[key].shape), batch[key].dtype) == (shape, dtype), key
    assert batch["diffusion_image"].abs().max() <= 1
    assert all(isinstance(name, str) for name in batch["image_id"])
    without = next(iter(data_module(diffusion_size=None).plain_dataloader("train")))
    assert "diffusion_image" not in without


def test_batches_agree_with_annotations_and_files(data_module, emoset_root):
    module = data_module()
    labels = module.annotations("train")
    assert module.annotations("train").emotion.bincount().tolist() == [4] * 8
    assert (module.scene_names, module.object_names) == (
        ["airfield", "bakery/shop", "coast"],
        ["Alarm clock", "Cake", "Lion", "Skull"],
    )
    assert (labels.scene == -1).any()
    assert (labels.objects.sum(dim=1) == 2).any()
    rows = json.loads((emoset_root / "train.json").read_text())
    names = module.image_ids("train")
    assert names == [Path(row[-2]).stem for row in rows]
    for batch in train_batches(module):
        index = batch["index"]
        assert torch.equal(batch["emotion"], labels.emotion[index])
        assert torch.equal(batch["scene"], labels.scene[index])
        assert torch.equal(batch["objects"], labels.objects[index])
        for row, name in zip(index.tolist(), batch["image_id"], strict=True):
            assert names[row] == name


def test_evaluation_is_in_order_and_without_augmentation(data_module):
    module = data_module(crop_epochs=1)
    first, second = list(module.test_dataloader()), list(module.test_dataloader())
    assert torch.cat([batch["index"] for batch in first]).tolist() == list(range(16))
    assert not any(batch["flipped"].any() for batch in first)
    for one, other in zip(first, second, strict=True):
        assert_equal(one, other)


@pytest.mark.parametrize("crop_epochs", [0, 1])
def test_worker_counts_do_not_change_a_batch(data_module, crop_epochs):
    alone, helped = (
        data_module(crop_epochs=crop_epochs, num_workers=n).train_dataloader() for n in (0, 2)
    )
    flips = []
    for epoch in (0, 1):  # workers persist: the epoch must reach them
        alone.sampler.set_epoch(epoch)
        helped.sampler.set_epoch(epoch)
        batches = list(alone)
        for one, other in zip(batches, helped, strict=True):
            assert_equal(one, other)
        index, flipped = (torch.cat([b[key] for b in batches]) for key in ("index", "flipped"))
        flips.append(dict(zip(index.tolist(), flipped.tolist(), strict=True)))
    common = flips[0].keys() & flips[1].keys()
    assert any(flips[0][row] != flips[1][row] for row in common)


def test_an_images_augmentation_does_not_depend_on_its_rank(data_module):
    module = data_module(crop_epochs=3, batch_size=16)
    alone = {row: batch["clip_image"][k] for batch in train_batches(module, 2)
             for k, row in enumerate(batch["index"].tolist())}  # fmt: skip
    seen = set()
    for rank in range(2):
        loader = module.train_dataloader()
        loader.sampler.rank, loader.sampler.num_replicas = rank, 2
        loader.sampler.set_epoch(2)
        for batch in loader:
            for k, row in enumerate(batch["index"].tolist()):
                assert torch.equal(batch["clip_image"][k], alone[row])
                seen.add(row)
    assert seen == alone.keys()


def test_aligned_views_are_those_of_evaluation_or_their_mirrors(data_module):
    module = data_module()
    plain = {row: batch["clip_image"][k] for batch in module.plain_dataloader("train")
             for k, row in enumerate(batch["index"].tolist())}  # fmt: skip
    for batch in train_batches(module):
        assert "diffusion_image" not in batch
        for k, row in enumerate(batch["index"].tolist()):
            expected = plain[row].flip(-1) if batch["flipped"][k] else plain[row]
            assert torch.equal(batch["clip_image"][k], expected)


LATENTS = torch.arange(32 * 2 * 12.0).view(32, 2, 3, 2, 2)  # [N, 2, c, h, h]


def lookup(index: torch.Tensor, flipped: torch.Tensor, epoch: int) -> dict[str, torch.Tensor]:
    return {"latent": LATENTS[index, flipped.long()], "timestep": 10 * index + epoch}


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("opened_early", [False, True])
def test_latents_come_with_the_batches_of_aligned_epochs(data_module, num_workers, opened_early):
    module = data_module(crop_epochs=1, num_workers=num_workers)
    if opened_early:  # as by an optimiser's schedule, before a fit begins
        loader = module.train_dataloader()
    module.diffusion_inputs = lookup
    assert module.diffusion_inputs is lookup
    if not opened_early:
        loader = module.train_dataloader()
    assert not any("latent" in batch for batch in loader)
    flips = set()
    for epoch in (1, 2):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            flips |= set(batch["flipped"].tolist())
            assert batch["latent"].shape == (6, 3, 2, 2)
            for name, values in lookup(batch["index"], batch["flipped"], epoch).items():
                assert torch.equal(batch[name], values)
    assert flips == {False, True}
    assert not any("latent" in batch for batch in module.plain_dataloader("train"))


def test_without_a_lookup_no_batch_has_latents(data_module):
    module = data_module(crop_epochs=1)
    assert module.diffusion_inputs is None
    assert not any("latent" in batch for batch in train_batches(module, epoch=1))


def test_requested_rows_come_in_the_order_requested(data_module):
    module = data_module()
    every = {row: batch["diffusion_image"][k] for batch in module.plain_dataloader("train")
             for k, row in enumerate(batch["index"].tolist())}  # fmt: skip
    some = list(module.plain_dataloader("train", [5, 0, 17]))
    assert torch.cat([batch["index"] for batch in some]).tolist() == [5, 0, 17]
    images = torch.cat([batch["diffusion_image"] for batch in some])
    assert torch.equal(images, torch.stack([every[row] for row in (5, 0, 17)]))


def test_an_image_replaced_in_place_changes_the_fingerprint(tmp_path):
    root = write_emoset(tmp_path / "emoset", {"train": 1})
    before, again = (
        EmoSetDataModule(str(root), cache_dir=str(tmp_path)).fingerprint("train") for _ in range(2)
    )
    assert before == again
    image = next(root.rglob("*.jpg"))
    image.write_bytes(image.read_bytes() + b" ")
    assert EmoSetDataModule(str(root), cache_dir=str(tmp_path)).fingerprint("train") != before


def test_the_fingerprint_names_split_and_fraction(data_module):
    whole = data_module().fingerprint("train")
    assert whole == data_module().fingerprint("train") != data_module().fingerprint("val")
    assert whole != data_module(fraction=0.25, batch_size=4).fingerprint("train")


def test_a_fraction_is_a_split_of_its_own(data_module):
    whole, tenth = data_module(), data_module(fraction=0.25, batch_size=4)
    assert tenth.annotations("train").emotion.bincount().tolist() == [1] * 8
    batches = train_batches(tenth)
    assert sorted(torch.cat([batch["index"] for batch in batches]).tolist()) == list(range(8))
    names = {name for batch in whole.plain_dataloader("train") for name in batch["image_id"]}
    assert {name for batch in batches for name in batch["image_id"]} < names
    assert len(tenth.annotations("val").emotion) == 8


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_unreadable_image_stops_training_in_one_line(data_module, own_root, num_workers):
    image = own_root / "image/fear/fear_train006.jpg"
    image.write_bytes(image.read_bytes()[:-100])
    module = data_module(root=str(own_root), batch_size=8, num_workers=num_workers)
    with pytest.raises(UserError, match=r"fear_train006\.jpg cannot be read") as caught:
        train_batches(module)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("image ")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"fraction": 0.0}, "fraction is 0"),
        ({"crop_scale": (0.5, 0.1)}, "crop_scale"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"batch_size": 33}, "too few for batch_size 33"),
        ({"root": "/nowhere"}, "does not exist"),
    ],
)
def test_impossible_settings_are_named(data_module, settings, words):
    with pytest.raises(UserError, match=words):
        data_module(**settings).train_dataloader()


class Recorder(LightningModule):
    """A model that only notes what it is given, and learns one number from it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[int, list[int], list[bool]]] = []

    def training_step(self, batch: Batch) -> torch.Tensor:
        row = (self.current_epoch, batch["index"].tolist(), batch["flipped"].tolist())
        self.seen.append(row)
        return (self.weight - batch["clip_image"].mean()) ** 2

    def validation_step(self, batch: Batch) -> None:
        self.log("validation", batch["clip_image"].mean(), batch_size=len(batch["index"]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class KeepEveryMoment(Callback):
    """Save a checkpoint at each of the moments at which Lightning's own callback may save one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, trainer: Trainer, moment: str) -> None:
        if not trainer.sanity_checking:
            trainer.save_checkpoint(self.folder / f"{moment}{trainer.global_step:02d}.ckpt")

    def on_train_batch_end(self, trainer: Trainer, *args: object) -> None:
        self.save(trainer, "step")

    def on_validation_end(self, trainer: Trainer, *args: object) -> None:
        self.save(trainer, "val")

    def on_train_epoch_end(self, trainer: Trainer, *args: object) -> None:
        self.save(trainer, "end")


class Scheduled(Recorder):
    """A model whose schedule asks for the number of steps, which opens the loader early."""

    def configure_optimizers(self):
        assert self.trainer.estimated_stepping_batches == 10
        return super().configure_optimizers()


def fit(module, folder: Path, **settings: object) -> Recorder:
    """Train two epochs of five steps, by default."""
    resume, model = settings.pop("ckpt_path", None), settings.pop("model", Recorder)()
    defaults = {"max_epochs": 2, "val_check_interval": 1, "limit_val_batches": 1}
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[KeepEveryMoment(folder)], enable_checkpointing=False, **(defaults | settings),
    )  # fmt: skip
    trainer.fit(model, module, ckpt_path=resume)
    return model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", [Recorder, Scheduled])
def test_lightning_resumes_every_checkpoint_bit_for_bit(data_module, tmp_path, model):
    whole = fit(data_module(), tmp_path / "whole", model=model)
    assert [epoch for epoch, *_ in whole.seen] == [0] * 5 + [1] * 5
    assert len({tuple(rows) for _, rows, _ in whole.seen}) == 10
    # In mid-epoch, after an epoch's last batch, and again in mid-epoch.
    moments = ["step02", "val02", "step05", "val05", "end05", "step07", "val07"]
    for moment in moments:
        module = data_module(num_workers=1 if moment == "step02" else 0)
        path = tmp_path / "whole" / f"{moment}.ckpt"
        resumed = fit(module, tmp_path / moment, model=model, ckpt_path=str(path))
        assert resumed.seen == whole.seen[int(moment[-2:]) :], moment
        assert torch.equal(resumed.weight, whole.weight), moment


@pytest.mark.filterwarnings("ignore")
def test_sanity_checks_and_validation_do_not_move_the_order(data_module, tmp_path):
    one = fit(data_module(), tmp_path / "one")
    other = fit(
        data_module(), tmp_path / "other",
        num_sanity_val_steps=0, limit_val_batches=0, val_check_interval=None,
    )  # fmt: skip
    assert one.seen == other.seen


@pytest.mark.filterwarnings("ignore")
def test_overfitting_to_a_few_batches_works(data_module, tmp_path):
    model = fit(data_module(), tmp_path, overfit_batches=2, val_check_interval=None)
    assert len(model.seen) == 4
