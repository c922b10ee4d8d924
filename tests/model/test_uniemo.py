"""The wired model: which loss moves what, and what a checkpoint keeps."""

import copy
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from tests.tiny import (
    MODEL_OBJECTS,
    MODEL_SCENES,
    SCHEDULE,
    TEXT_ENCODER,
    UNET,
    VAE,
    joint_batch,
    make_batch,
    tiny_model,
)
from uniemo.batch import Batch, Request
from uniemo.config.model import (
    ClipConfig,
    DiffusionConfig,
    LossWeights,
    ModelSettings,
    OptimizerConfig,
)
from uniemo.curriculum.reporting import frozen_parameters
from uniemo.diffusion.random_weights import random_stable_diffusion
from uniemo.errors import UserError
from uniemo.model import UniEmo, assemble, build_model, load_model
from uniemo.model.optimizer import parameter_groups, trained_parameters
from uniemo.understanding import load_clip


@pytest.fixture
def module(tiny_files) -> UniEmo:
    return tiny_model(tiny_files)


def theta(module: UniEmo, batch: Batch) -> Tensor:
    condition = module.fuse(module.read(batch["clip_image"]), batch["emotion"])
    latent = module.painter.diffusion.encode(batch["diffusion_image"])
    draw = module.noise.draw(batch["index"], epoch=0)
    return module.noise_prediction_losses(condition, latent, draw)


def part(batch: Batch, i: int) -> Batch:
    return {key: value[i : i + 1] for key, value in batch.items()}  # type: ignore[return-value, index]


def test_theta_alone_moves_mappers_and_queries_and_no_frozen_weight(module):
    module.train()
    module.understanding.chain.visual.requires_grad_(False)
    before = {name: p.clone() for name, p in module.named_parameters()}
    theta(module, make_batch()).mean().backward()
    moved = {name for name, p in module.named_parameters() if p.grad is not None and p.grad.any()}
    for prefix in (
        "fusion.emotion",
        "fusion.scene",
        "fusion.object",
        "understanding.chain.scene",
        "understanding.chain.object",
    ):
        assert any(name.startswith(prefix) for name in moved), prefix
    assert "understanding.chain.scene_queries.tokens" in moved
    assert "understanding.chain.object_queries.tokens" in moved
    for name, parameter in module.named_parameters():
        if name.startswith(("painter.head.", "understanding.chain.visual.")):
            assert parameter.grad is None, name
    torch.optim.SGD([p for p in module.parameters() if p.grad is not None], 0.1).step()
    for name, parameter in module.named_parameters():
        if name.startswith(("painter.head.", "understanding.chain.visual.")):
            assert torch.equal(parameter, before[name]), name
    assert not torch.equal(
        module.understanding.chain.scene_queries.tokens,
        before["understanding.chain.scene_queries.tokens"],
    )


def test_alignment_moves_the_mappers_alone(module):
    module.train()
    assert module.fusion.scene_words.shape == (len(MODEL_SCENES), module.painter.diffusion.width)
    batch = make_batch()
    module.alignment_loss(module.read(batch["clip_image"]), batch).backward()
    moved = {name for name, p in module.named_parameters() if p.grad is not None and p.grad.any()}
    for mapper in "emotion_mapper", "scene_mapper", "object_mapper":
        assert any(name.startswith(f"fusion.{mapper}") for name in moved), mapper
    assert all(name.startswith("fusion.") for name in moved)


def test_alignment_is_nothing_where_the_condition_says_the_names(module):
    batch = make_batch()
    batch["scene"], batch["objects"] = torch.full((8,), 1), torch.eye(3).bool()[[2] * 8]
    said = {
        "scene_mapper": module.fusion.scene_words[1],
        "object_mapper": module.fusion.object_words[2],
    }
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
    for name in "understanding.scene_projection.linear", "understanding.object_projection.linear":
        assert module.get_submodule(name).weight.grad.any(), name
    assert module.fusion.evidence.weight.grad.all()
    alone = module.understanding.emotion_head(reading.features.emotion)
    scene = module.fusion.scene_base.evidence(reading.scene, module.understanding.scene_scale())
    object_ = module.fusion.object_base.evidence(
        reading.object, module.understanding.object_scale()
    )
    torch.testing.assert_close(reading.logits, alone + scene + object_)
    module.fusion.evidence = None
    torch.testing.assert_close(module.read_features(reading.features).logits, alone)


def test_gradient_checkpointing_computes_the_same_gradients_twice_over(module):
    batch = make_batch()
    runs: list[str] = []
    for name, layer in (
        ("unet", module.head.unet.up_blocks[-1].resnets[0]),
        ("clip", module.understanding.chain.visual.transformer.resblocks[0]),
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
    changed = ModelSettings(optimizer=settings, understanding_epochs=0)
    again = assemble(module.understanding.backbone, module.head, changed)
    assert again.understanding.chain.visual is module.understanding.chain.visual
    saving = gradients()
    assert sorted(runs) == sorted(2 * once)
    assert plain.keys() == saving.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(saving[name], gradient, msg=name)


def test_a_model_without_head_takes_the_word_width_of_where_it_starts(tiny_files, tmp_path):
    clip = load_clip(f"local-dir:{tiny_files['clip']}")
    width = clip.model.visual.proj.shape[1] + 8
    text = TEXT_ENCODER | {"hidden_size": width}
    head = random_stable_diffusion(VAE, UNET | {"cross_attention_dim": width}, text, SCHEDULE)
    config = ClipConfig(f"local-dir:{tiny_files['clip']}", None)
    wide = assemble(clip, head, ModelSettings(clip=config))
    checkpoint = {"state_dict": wide.state_dict(), "hyper_parameters": dict(wide.hparams)}
    wide.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, tmp_path / "joint.ckpt")
    tuned = build_model(ModelSettings(config, None, start_from=str(tmp_path / "joint.ckpt")))
    assert tuned.understanding.emotion_head.hidden.out_features == width
    hidden = [each.understanding.emotion_head.hidden.weight for each in (tuned, wide)]
    assert torch.equal(*hidden)
    checkpoint = {"state_dict": tuned.state_dict(), "hyper_parameters": dict(tuned.hparams)}
    tuned.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, tmp_path / "finetune.ckpt")
    assert load_model(tmp_path / "finetune.ckpt").head is None


@pytest.mark.parametrize(
    ("batches", "accumulate", "total", "split"),
    [(10, 1, 30, 20), (10, 3, 12, 8), (10, 1, 15, 15), (10, 1, 25, 20)],
)
def test_the_warm_up_ends_with_its_epochs(module, batches, accumulate, total, split):
    module.settings.understanding_epochs = 2
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
    return module.joint_losses(module.read(batch["clip_image"]), joint_batch(module, batch))


@pytest.mark.parametrize("stage", ["understanding", "joint"])
def test_no_step_reads_a_number_back_from_its_device(module, stage, monkeypatch):
    """On the meta device reading one fails, as it would stall a GPU."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # it knows no meta
    module.train().log_dict = module.log = lambda *_, **__: None
    module.settings.diffusion = DiffusionConfig(images_at_once=3)
    module.settings.understanding_epochs = int(stage == "understanding")
    assert module.stage == stage
    batch = joint_batch(module, make_batch())
    # A first step may prepare what later ones find on their device.
    module.to("meta").painter.diffusion.scheduler.alphas_cumprod = torch.empty(1000, device="meta")
    moved = {k: v.to("meta") if torch.is_tensor(v) else v for k, v in batch.items()}
    module.training_step(moved, 0).backward()
    tokens = module.understanding.chain.object_queries.tokens
    assert tokens.grad.is_meta
    with pytest.raises(RuntimeError, match="meta"):
        tokens.sum().item()


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
        module.settings.diffusion = DiffusionConfig(images_at_once=at_once)
        losses = theta(module, make_batch())
        losses.mean().backward()
        return losses.detach(), module.understanding.chain.object_queries.tokens.grad.clone()

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
        module.settings.loss = LossWeights(generated=weight)
        return torch.stack(list(module.understanding_losses(reading, batch).values()))

    none, some, full = losses(0.0), losses(0.3), losses(1.0)
    assert (full > none).all()
    torch.testing.assert_close(some, none + 0.3 * (full - none))


def test_an_epoch_trains_the_groups_that_its_rates_name(module, tiny_files):
    settings = ModelSettings(understanding_epochs=0)
    joint = assemble(load_clip(f"local-dir:{tiny_files['clip']}"), module.head, settings)
    refresh = assemble(load_clip(f"local-dir:{tiny_files['clip']}"), None, settings)
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
        if id(parameter) in decay and not name.startswith("understanding.chain.visual."):
            matrix = name.endswith("weight") and parameter.ndim > 1
            assert decay[id(parameter)] == (0.1 if matrix else 0.0), name


def test_every_weight_is_counted_once_as_trained_or_frozen(module):
    frozen = frozen_parameters(module)
    trained = sum(p.numel() for *_, p in trained_parameters(module))
    used = {
        id(p): p.numel()
        for p in (*module.parameters(), *module.understanding.backbone.model.parameters())
    }
    assert trained + sum(frozen.values()) == sum(used.values())
    text_tower = module.understanding.backbone.model.transformer.parameters()
    assert frozen["rest of CLIP"] > sum(p.numel() for p in text_tower)


def test_predicting_obeys_the_guidance_and_the_steps_of_a_request(module, monkeypatch):
    fill_space(module)
    asked = []
    monkeypatch.setattr(module.painter, "paint", lambda *given: asked.append(given))
    two = torch.tensor([2])
    module.predict_step(Request(0, two, two, guidance_scale=5.0, num_inference_steps=7))
    sampling = asked[0][2]
    assert (sampling.guidance_scale, sampling.num_inference_steps) == (5.0, 7)
    assert sampling.scheduler == module.painter.sampling.scheduler


def test_image_k_does_not_depend_on_its_batch(module):
    fill_space(module)
    emotion, index = torch.tensor([0, 3, 3, 7]), torch.tensor([0, 0, 5, 2])
    together, _ = module.painter.generate(emotion, index)
    alone, _ = module.painter.generate(emotion[2:3], index[2:3])
    assert (together[2] - alone[0]).abs().mean() < 0.5 / 255
    assert not torch.equal(together[1], together[2])


def test_of_several_draws_the_surest_is_painted(module, monkeypatch):
    fill_space(module)
    emotion, index = torch.arange(8), torch.zeros(8, dtype=torch.long)
    taken = []
    monkeypatch.setattr(module.painter, "fuse_features", lambda features, _: taken.append(features))
    for draws in (1, 2, 6):
        module.painter.draw_conditions(emotion, index, draws)
    module.painter.draw_conditions(emotion[4:5], index[4:5], 6)
    one, two, six = (module.painter.confidence(features, emotion) for features in taken[:3])
    assert (one <= two).all()
    assert (two <= six).all()
    assert (one < six).any()
    torch.testing.assert_close(taken[3].scene[0], taken[2].scene[4])  # whatever the batch


def fill_space(module: UniEmo) -> None:
    module.eval()
    batch = make_batch(32)
    with torch.no_grad():
        module.painter.space.update(
            module.read(batch["clip_image"]).features, batch["emotion"], batch["index"]
        )
    module.painter.space.synchronise()


def test_a_checkpoint_brings_back_the_same_pictures(module, tiny_files, tmp_path):
    fill_space(module)
    checkpoint = {
        "state_dict": copy.deepcopy(module.state_dict()),
        "hyper_parameters": dict(module.hparams),
    }
    module.on_save_checkpoint(checkpoint)
    assert not any(name.startswith("painter.head.") for name in checkpoint["state_dict"])
    torch.save(checkpoint, tmp_path / "model.ckpt")
    again = load_model(tmp_path / "model.ckpt")
    emotion, index = torch.tensor([1, 6]), torch.tensor([0, 1])
    assert torch.equal(
        again.painter.generate(emotion, index)[0], module.painter.generate(emotion, index)[0]
    )
    assert (again.fusion.scene_names, again.fusion.object_names) == (MODEL_SCENES, MODEL_OBJECTS)


@pytest.mark.gpu
def test_the_gpu_computes_the_same_losses_and_gradients(module, gpu):
    module.eval()

    def compute(device: torch.device) -> tuple[Tensor, Tensor]:
        module.to(device).zero_grad()
        batch = {k: v.to(device) if torch.is_tensor(v) else v for k, v in make_batch().items()}
        losses = torch.stack(list(joint_losses(module, batch).values()))
        losses.sum().backward()
        gradient = module.understanding.chain.scene_queries.tokens.grad
        return losses.detach().cpu(), gradient.cpu().clone()  # moving the module moves its .grad

    (losses, gradient), (found, other) = compute(torch.device("cpu")), compute(gpu)
    torch.testing.assert_close(found, losses, rtol=1e-3, atol=1e-4)
    assert (other - gradient).norm() < 1e-2 * gradient.norm()


@pytest.mark.gpu
def test_the_gpu_paints_the_same_pictures(module, gpu):
    fill_space(module)
    emotion, index = torch.arange(8), torch.zeros(8, dtype=torch.long)
    expected, _ = module.painter.generate(emotion, index)
    found, _ = module.to(gpu).generate(emotion, index)
    assert (found.cpu() - expected).abs().mean() < 0.5 / 255
