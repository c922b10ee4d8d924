"""The wired model: which loss moves what, and what a checkpoint keeps."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from tests.tiny import SCHEDULE, TEXT_ENCODER, UNET, VAE
from uniemo.batch import Annotations, Batch
from uniemo.config.model import (
    ClipConfig,
    DiffusionConfig,
    LossWeights,
    ModelConfig,
    OptimizerConfig,
)
from uniemo.curriculum.reporting import frozen_parameters
from uniemo.curriculum.requests import Request
from uniemo.diffusion import SamplingConfig, StableDiffusion
from uniemo.errors import UserError
from uniemo.model.optimizer import parameter_groups, trained_parameters
from uniemo.model.uniemo import UniEmo
from uniemo.understanding import load_clip

SCENES = ["coast", "jail_cell"]
OBJECTS = ["Lion", "Cake", "Skull"]


@pytest.fixture
def module(tiny_files) -> UniEmo:
    torch.manual_seed(0)
    module = UniEmo.from_parts(
        load_clip(f"local-dir:{tiny_files['clip']}"),
        StableDiffusion(str(tiny_files["stable_diffusion"])),
        model=ModelConfig(n_queries=2, support=1, dropout=0.0, evidence=True),
        sampling=SamplingConfig(num_inference_steps=2, guidance_scale=2.0),
    )
    generator = torch.Generator().manual_seed(1)
    annotations = Annotations(
        torch.arange(64) % 8,
        torch.randint(-1, 2, (64,), generator=generator),
        torch.rand(64, 3, generator=generator) < 0.4,
    )
    module.fill_bases(annotations, SCENES, OBJECTS)
    return module


def make_batch(n: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(2)
    return {
        "clip_image": torch.randn(n, 3, 16, 16, generator=generator),
        "diffusion_image": torch.rand(n, 3, 8, 8, generator=generator) * 2 - 1,
        "emotion": torch.arange(n) % 8,
        "scene": torch.arange(n) % 3 - 1,
        "objects": torch.rand(n, 3, generator=generator) < 0.5,
        "brightness": torch.rand(n, generator=generator),
        "colorfulness": torch.rand(n, generator=generator),
        "index": torch.arange(n),
        "flipped": torch.zeros(n, dtype=torch.bool),
        "generated": torch.zeros(n, dtype=torch.bool),
        "image_id": [f"picture_{i}" for i in range(n)],
    }


def theta(module: UniEmo, batch: Batch) -> Tensor:
    condition = module.fuse(module.read(batch["clip_image"]), batch["emotion"])
    latent = module.diffusion.encode(batch["diffusion_image"])
    return module.theta_losses(condition, latent, batch["index"], epoch=0)


def part(batch: Batch, i: int) -> Batch:
    return {key: value[i : i + 1] for key, value in batch.items()}  # type: ignore[return-value, index]


def test_theta_alone_moves_mappers_and_queries_and_no_frozen_weight(module):
    module.train()
    module.chain.visual.requires_grad_(False)
    before = {name: p.clone() for name, p in module.named_parameters()}
    theta(module, make_batch()).mean().backward()
    moved = {name for name, p in module.named_parameters() if p.grad is not None and p.grad.any()}
    for prefix in (
        "fusion.emotion",
        "fusion.scene",
        "fusion.object",
        "chain.scene",
        "chain.object",
    ):
        assert any(name.startswith(prefix) for name in moved), prefix
    assert "chain.scene_queries.tokens" in moved
    assert "chain.object_queries.tokens" in moved
    for name, parameter in module.named_parameters():
        if name.startswith(("head.", "chain.visual.")):
            assert parameter.grad is None, name
    torch.optim.SGD([p for p in module.parameters() if p.grad is not None], 0.1).step()
    for name, parameter in module.named_parameters():
        if name.startswith(("head.", "chain.visual.")):
            assert torch.equal(parameter, before[name]), name
    assert not torch.equal(module.chain.scene_queries.tokens, before["chain.scene_queries.tokens"])


def test_alignment_moves_the_mappers_alone(module):
    module.train()
    assert module.scene_words.shape == (len(SCENES), module.diffusion.width)
    batch = make_batch()
    module.alignment_loss(module.read(batch["clip_image"]), batch).backward()
    moved = {name for name, p in module.named_parameters() if p.grad is not None and p.grad.any()}
    for mapper in "emotion_mapper", "scene_mapper", "object_mapper":
        assert any(name.startswith(f"fusion.{mapper}") for name in moved), mapper
    assert all(name.startswith("fusion.") for name in moved)


def test_alignment_is_nothing_where_the_condition_says_the_names(module):
    batch = make_batch()
    batch["scene"], batch["objects"] = torch.full((8,), 1), torch.eye(3).bool()[[2] * 8]
    said = {"scene_mapper": module.scene_words[1], "object_mapper": module.object_words[2]}
    reading = module.read(batch["clip_image"])
    condition = module.fuse(reading, batch["emotion"])
    for mapper, word in said.items():
        getattr(module.fusion, mapper).forward = lambda _, word=word: word.expand(8, -1)
    # The emotion's part adds what the coefficients take away.
    module.fusion.emotion_mapper.forward = lambda _: sum(
        (1 - alpha[:, None]) * word
        for alpha, word in zip(
            (condition.alpha_scene, condition.alpha_object), said.values(), strict=True
        )
    )
    assert module.alignment_loss(reading, batch) < 1e-6


def test_with_evidence_the_emotion_is_read_from_scene_and_object_too(module):
    reading = module.read(make_batch()["clip_image"])
    module.understanding_losses(reading, make_batch())["emotion"].backward()
    for name in "scene_projection.linear", "object_projection.linear":
        assert module.get_submodule(name).weight.grad.any(), name
    assert module.evidence.weight.grad.all()
    alone = module.emotion_head(reading.features.emotion)
    scene = module.scene_base.evidence(reading.scene, module.scene_scale())
    object_ = module.object_base.evidence(reading.object, module.object_scale())
    torch.testing.assert_close(reading.logits, alone + scene + object_)
    module.evidence = None
    torch.testing.assert_close(module.interpret(reading.features).logits, alone)


def test_gradient_checkpointing_computes_the_same_gradients_twice_over(module):
    batch = make_batch()
    runs: list[str] = []
    for name, layer in (
        ("unet", module.head.unet.up_blocks[-1].resnets[0]),
        ("clip", module.chain.visual.transformer.resblocks[0]),
    ):
        layer.register_forward_pre_hook(lambda *_, name=name: runs.append(name))

    def gradients() -> dict[str, Tensor]:
        module.zero_grad()
        runs.clear()
        losses = joint_losses(module, batch)
        (losses["theta"] + module.read(batch["clip_image"]).logits.sum()).backward()
        return {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}

    plain, once = gradients(), list(runs)
    settings = OptimizerConfig(gradient_checkpointing=True)
    again = UniEmo.from_parts(module.backbone, module.head, optimizer=settings)
    assert again.chain.visual is module.chain.visual
    saving = gradients()
    assert sorted(runs) == sorted(2 * once)
    assert plain.keys() == saving.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(saving[name], gradient, msg=name)


def test_a_model_without_head_takes_the_word_width_of_where_it_starts(tiny_files, tmp_path):
    clip = load_clip(f"local-dir:{tiny_files['clip']}")
    width = clip.model.visual.proj.shape[1] + 8
    text = TEXT_ENCODER | {"hidden_size": width}
    head = StableDiffusion.from_config(VAE, UNET | {"cross_attention_dim": width}, text, SCHEDULE)
    wide = UniEmo.from_parts(clip, head, clip=ClipConfig(f"local-dir:{tiny_files['clip']}", None))
    checkpoint = {"state_dict": wide.state_dict(), "hyper_parameters": dict(wide.hparams)}
    wide.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, tmp_path / "joint.ckpt")
    tuned = UniEmo(wide.clip_config, None, start_from=str(tmp_path / "joint.ckpt"))
    assert tuned.emotion_head.hidden.out_features == width
    assert torch.equal(tuned.emotion_head.hidden.weight, wide.emotion_head.hidden.weight)
    checkpoint = {"state_dict": tuned.state_dict(), "hyper_parameters": dict(tuned.hparams)}
    tuned.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, tmp_path / "finetune.ckpt")
    assert UniEmo.from_checkpoint(tmp_path / "finetune.ckpt").head is None


@pytest.mark.parametrize(
    ("batches", "accumulate", "total", "split"),
    [(10, 1, 30, 20), (10, 3, 12, 8), (10, 1, 15, 15), (10, 1, 25, 20)],
)
def test_the_warm_up_ends_with_its_epochs(module, batches, accumulate, total, split):
    module.understanding_epochs = 2
    module._trainer = SimpleNamespace(
        max_epochs=4,
        estimated_stepping_batches=total,
        num_training_batches=batches,
        accumulate_grad_batches=accumulate,
    )
    schedule = module.configure_optimizers()["lr_scheduler"]["scheduler"]
    groups = [group["group"] for group in schedule.optimizer.param_groups]
    rate = schedule.lr_lambdas[groups.index("mappers")]  # nothing in the warm-up
    assert rate(split - 1) == 0
    assert split == total or rate(split) > 0
    module._trainer.max_epochs = -1
    with pytest.raises(UserError, match=r"trainer\.max_epochs"):
        module.configure_optimizers()


def joint_losses(module: UniEmo, batch: Batch) -> dict[str, Tensor]:
    latent = module.diffusion.encode(batch["diffusion_image"])
    return module.joint_losses(module.read(batch["clip_image"]), batch, latent)


@pytest.mark.parametrize("name", ["condition", "theta", "emotion"])
def test_losses_of_a_batch_of_8_are_the_mean_of_eight_batches_of_1(module, name):
    module.eval()

    def loss(batch: Batch) -> Tensor:
        if name == "emotion":
            return module.understanding_losses(module.read(batch["clip_image"]), batch)[name]
        return joint_losses(module, batch)[name]

    batch = make_batch()
    single = torch.stack([loss(part(batch, i)) for i in range(8)]).mean()
    torch.testing.assert_close(loss(batch), single, rtol=0, atol=1e-5)


def test_a_picture_without_scene_adds_nothing_to_the_scene_loss(module):
    module.eval()
    batch = make_batch()
    batch["scene"][:] = torch.tensor([0, 1, 0, 1, 0, 1, -1, -1])
    all_eight = module.understanding_losses(module.read(batch["clip_image"]), batch)["scene"]
    six = {k: v[:6] for k, v in batch.items()}
    first_six = module.understanding_losses(module.read(six["clip_image"]), six)["scene"]
    torch.testing.assert_close(all_eight, first_six)
    batch["scene"][:] = -1
    assert module.understanding_losses(module.read(batch["clip_image"]), batch)["scene"] == 0


def test_chunks_of_a_batch_change_neither_theta_nor_its_gradients(module):
    def compute(at_once: int) -> tuple[Tensor, Tensor]:
        module.zero_grad()
        module.diffusion_config = DiffusionConfig(images_at_once=at_once)
        losses = theta(module, make_batch())
        losses.mean().backward()
        return losses.detach(), module.chain.object_queries.tokens.grad.clone()

    (whole, gradient), (found, other) = compute(8), compute(3)
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-6)
    assert gradient.any()
    torch.testing.assert_close(other, gradient, rtol=1e-3, atol=1e-6)


def test_a_generated_picture_counts_by_its_weight(module):
    module.eval()
    batch = make_batch()
    batch["generated"][2:5] = True
    reading = module.read(batch["clip_image"])

    def losses(weight: float) -> Tensor:
        module.weights = LossWeights(generated=weight)
        return torch.stack(list(module.understanding_losses(reading, batch).values()))

    none, some, full = losses(0.0), losses(0.3), losses(1.0)
    assert (full > none).all()
    torch.testing.assert_close(some, none + 0.3 * (full - none))


def test_an_epoch_trains_the_groups_that_its_rates_name(module, tiny_files):
    joint = UniEmo.from_parts(load_clip(f"local-dir:{tiny_files['clip']}"), module.head)
    refresh = UniEmo.from_parts(load_clip(f"local-dir:{tiny_files['clip']}"), None)
    for model, stage in ((joint, "joint"), (refresh, "refresh")):
        assert model.stage == stage
        model.on_train_epoch_start()
        rates = getattr(OptimizerConfig(), stage)
        moved = {group for group, _, p in trained_parameters(model) if p.requires_grad}
        assert moved == {group for group, rate in vars(rates).items() if rate > 0}
    assert moved == {"heads"}  # the third phase's end, as published settings have it


def test_weights_that_multiply_features_decay_and_others_do_not(module):
    stages = OptimizerConfig().understanding, OptimizerConfig().joint
    groups = parameter_groups(module, OptimizerConfig(weight_decay=0.1), stages)
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    for name, parameter in module.named_parameters():
        if id(parameter) in decay and not name.startswith("chain.visual."):
            matrix = name.endswith("weight") and parameter.ndim > 1
            assert decay[id(parameter)] == (0.1 if matrix else 0.0), name


def test_every_weight_is_counted_once_as_trained_or_frozen(module):
    frozen = frozen_parameters(module)
    trained = sum(p.numel() for *_, p in trained_parameters(module))
    used = {id(p): p.numel() for p in (*module.parameters(), *module.backbone.model.parameters())}
    assert trained + sum(frozen.values()) == sum(used.values())
    text_tower = module.backbone.model.transformer.parameters()
    assert frozen["rest of CLIP"] > sum(p.numel() for p in text_tower)


def test_predicting_obeys_the_guidance_and_the_steps_of_a_request(module, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "generate", lambda *given: asked.append(given))
    two = torch.tensor([2])
    module.predict_step(Request(0, two, two, guidance_scale=5.0, num_inference_steps=7))
    sampling = asked[0][2]
    assert (sampling.guidance_scale, sampling.num_inference_steps) == (5.0, 7)
    assert sampling.scheduler == module.sampling.scheduler


def test_image_k_does_not_depend_on_its_batch(module):
    fill_space(module)
    emotion, index = torch.tensor([0, 3, 3, 7]), torch.tensor([0, 0, 5, 2])
    together, _ = module.generate(emotion, index)
    alone, _ = module.generate(emotion[2:3], index[2:3])
    assert (together[2] - alone[0]).abs().mean() < 0.5 / 255
    assert not torch.equal(together[1], together[2])


def test_of_several_draws_the_surest_is_painted(module, monkeypatch):
    fill_space(module)
    emotion, index = torch.arange(8), torch.zeros(8, dtype=torch.long)
    taken = []
    monkeypatch.setattr(module, "express", lambda features, _: taken.append(features))
    for draws in (1, 2, 6):
        module.conditions(emotion, index, draws)
    module.conditions(emotion[4:5], index[4:5], 6)
    one, two, six = (module.belief(features, emotion) for features in taken[:3])
    assert (one <= two).all()
    assert (two <= six).all()
    assert (one < six).any()
    torch.testing.assert_close(taken[3].scene[0], taken[2].scene[4])  # whatever the batch


def fill_space(module: UniEmo) -> None:
    module.eval()
    batch = make_batch(32)
    with torch.no_grad():
        module.space.update(
            module.read(batch["clip_image"]).features, batch["emotion"], batch["index"]
        )
    module.space.synchronise()


def test_a_checkpoint_brings_back_the_same_pictures(module, tiny_files, tmp_path):
    fill_space(module)
    checkpoint = {
        "state_dict": copy.deepcopy(module.state_dict()),
        "hyper_parameters": plain_hyperparameters(tiny_files),
    }
    module.on_save_checkpoint(checkpoint)
    assert not any(name.startswith("head.") for name in checkpoint["state_dict"])
    torch.save(checkpoint, tmp_path / "model.ckpt")
    again = UniEmo.from_checkpoint(tmp_path / "model.ckpt")
    emotion, index = torch.tensor([1, 6]), torch.tensor([0, 1])
    assert torch.equal(again.generate(emotion, index)[0], module.generate(emotion, index)[0])
    assert (again.scene_names, again.object_names) == (SCENES, OBJECTS)


def plain_hyperparameters(tiny_files) -> dict:
    built = UniEmo(
        ClipConfig(f"local-dir:{tiny_files['clip']}", None),
        DiffusionConfig(str(tiny_files["stable_diffusion"])),
        ModelConfig(n_queries=2, support=1, dropout=0.0, evidence=True),
        sampling=SamplingConfig(num_inference_steps=2, guidance_scale=2.0),
    )
    return dict(built.hparams)


@pytest.mark.gpu
def test_the_gpu_computes_the_same_losses_and_gradients(module, gpu):
    module.eval()

    def compute(device: torch.device) -> tuple[Tensor, Tensor]:
        module.to(device).zero_grad()
        batch = {k: v.to(device) if torch.is_tensor(v) else v for k, v in make_batch().items()}
        losses = torch.stack(list(joint_losses(module, batch).values()))
        losses.sum().backward()
        return losses.detach().cpu(), module.chain.scene_queries.tokens.grad.cpu()

    (losses, gradient), (found, other) = compute(torch.device("cpu")), compute(gpu)
    torch.testing.assert_close(found, losses, rtol=1e-3, atol=1e-4)
    assert (other - gradient).norm() < 1e-2 * gradient.norm()


@pytest.mark.gpu
def test_the_gpu_paints_the_same_pictures(module, gpu):
    fill_space(module)
    emotion, index = torch.arange(8), torch.zeros(8, dtype=torch.long)
    expected, _ = module.generate(emotion, index)
    found, _ = module.to(gpu).generate(emotion, index)
    assert (found.cpu() - expected).abs().mean() < 0.5 / 255
