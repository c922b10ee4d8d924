import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from uniemo.diffusion import (
    NoiseSource,
    StableDiffusion,
    noise_prediction_loss,
    stable_diffusion,
)
from uniemo.diffusion.random_weights import random_stable_diffusion
from uniemo.errors import UserError


class Holder(nn.Module):
    """A module with one trained layer beside the frozen head, as the LightningModule."""

    def __init__(self, head: StableDiffusion) -> None:
        super().__init__()
        self.head = head
        self.mapper = nn.Linear(3, head.width)


def test_loads_the_weights_of_the_folder(head: StableDiffusion, folder: Path) -> None:
    stored = load_file(folder / "unet/diffusion_pytorch_model.safetensors")
    assert stored.keys() == dict(head.unet.named_parameters()).keys()
    assert all(torch.equal(p, stored[name]) for name, p in head.unet.named_parameters())
    assert (head.width, head.latent_shape, head.image_size) == (16, (4, 4, 4), 8)


def test_reads_the_prefixed_text_encoder_of_published_folders(
    head: StableDiffusion, folder: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "sd"))
    file = copy / "text_encoder/model.safetensors"
    plain = {name.removeprefix("text_model."): w for name, w in load_file(file).items()}
    prefixed = {f"text_model.{name}": w for name, w in plain.items()}
    prefixed["text_model.embeddings.position_ids"] = torch.arange(12)[None]
    save_file(prefixed, file, metadata={"format": "pt"})
    loaded = StableDiffusion.from_pretrained(str(copy)).text_encoder
    for name, parameter in head.text_encoder.named_parameters():
        assert torch.equal(parameter, loaded.get_parameter(name))


def test_missing_folder_and_missing_part_are_named_in_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="neither a folder nor a hub id"):
        StableDiffusion.from_pretrained(str(tmp_path / "nowhere"))
    copy = Path(shutil.copytree(folder, tmp_path / "sd"))
    shutil.rmtree(copy / "unet")
    shutil.rmtree(copy / "scheduler")
    with pytest.raises(UserError, match="lacks unet/, scheduler/"):
        StableDiffusion.from_pretrained(str(copy))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match="cannot load vae of Stable Diffusion 'someone/absent'"
    ) as caught:
        StableDiffusion.from_pretrained("someone/absent")
    assert "\n" not in str(caught.value)


def test_broken_and_incomplete_weights_are_rejected(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "sd"))
    for part, file in (
        ("unet", "unet/diffusion_pytorch_model.safetensors"),
        ("text_encoder", "text_encoder/model.safetensors"),
    ):
        whole = load_file(copy / file)
        fewer = dict(whole)
        del fewer[max(whole)]
        save_file(fewer, copy / file, metadata={"format": "pt"})
        with pytest.raises(UserError, match=f"weights of {part} .* lack 1 tensors"):
            StableDiffusion.from_pretrained(str(copy))
        (copy / file).write_bytes(b"not weights")
        with pytest.raises(UserError, match=f"cannot load {part}") as caught:
            StableDiffusion.from_pretrained(str(copy))
        assert "\n" not in str(caught.value)
        save_file(whole, copy / file, metadata={"format": "pt"})
    StableDiffusion.from_pretrained(str(copy))
    (copy / "tokenizer/vocab.json").unlink()
    with pytest.raises(UserError, match="cannot load tokenizer"):
        StableDiffusion.from_pretrained(str(copy))
    (copy / "tokenizer/merges.txt").unlink()
    with pytest.raises(UserError, match=r"lacks vocab\.json"):
        StableDiffusion.from_pretrained(str(copy))


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        (
            "scheduler/scheduler_config.json",
            "prediction_type",
            "sample",
            "prediction_type 'sample'",
        ),
        ("unet/config.json", "cross_attention_dim", 24, "cross_attention_dim 24"),
        ("unet/config.json", "in_channels", 9, "in_channels 9"),
    ],
)
def test_parts_that_do_not_fit_are_rejected(
    head: StableDiffusion, folder: Path, part: str, key: str, value: object, message: str
) -> None:
    def config(name: str) -> dict:
        return json.loads((folder / name).read_text())

    configs = {
        name: config(name)
        for name in ("vae/config.json", "unet/config.json", "scheduler/scheduler_config.json")
    }
    configs[part][key] = value
    vae, unet, scheduler = (
        {k: v for k, v in c.items() if not k.startswith("_")} for c in configs.values()
    )
    text = head.text_encoder.config.to_dict()
    with pytest.raises(UserError, match=message), torch.device("meta"):
        random_stable_diffusion(vae, unet, text, scheduler)


def test_published_size_is_built_without_memory() -> None:
    with torch.device("meta"):
        head = random_stable_diffusion(
            vae={
                "down_block_types": ["DownEncoderBlock2D"] * 4,
                "up_block_types": ["UpDecoderBlock2D"] * 4,
                "block_out_channels": [128, 256, 512, 512],
                "layers_per_block": 2,
            },
            unet={"sample_size": 64, "cross_attention_dim": 768},
            text_encoder={
                "vocab_size": 49408,
                "hidden_size": 768,
                "intermediate_size": 3072,
                "num_hidden_layers": 12,
                "num_attention_heads": 12,
            },
            scheduler={"beta_schedule": "scaled_linear"},
        )
    count = {n: sum(p.numel() for p in part.parameters()) for n, part in head.named_children()}
    assert count == {"vae": 83_653_863, "unet": 859_520_964, "text_encoder": 123_060_480}
    assert all(p.is_meta and not p.requires_grad for p in head.parameters())
    assert (head.width, head.latent_shape, head.image_size) == (768, (4, 64, 64), 512)


def test_frozen_weights_never_get_a_gradient_and_never_move(folder: Path) -> None:
    holder = Holder(StableDiffusion.from_pretrained(str(folder)))
    before = {name: p.clone() for name, p in holder.head.named_parameters()}
    holder.train()
    assert not any(module.training for module in holder.head.modules())
    latents = holder.head.encode(torch.rand(2, 3, 8, 8) * 2 - 1)
    conditioning = holder.head.condition(holder.mapper(torch.ones(2, 3)), "a *")
    draw = NoiseSource.of(holder.head, seed=0).draw(torch.arange(2), epoch=0)
    noise_prediction_loss(holder.head, latents, conditioning, draw).mean().backward()
    assert holder.mapper.weight.grad is not None
    assert holder.mapper.weight.grad.abs().sum() > 0
    for name, parameter in holder.head.named_parameters():
        assert not parameter.requires_grad
        assert parameter.grad is None
        assert torch.equal(parameter, before[name])


def test_checkpoint_holds_no_frozen_weight_and_loads_strictly(folder: Path) -> None:
    holder = Holder(StableDiffusion.from_pretrained(str(folder)))
    state = holder.state_dict()
    assert set(state) == {"mapper.weight", "mapper.bias"}
    other = Holder(StableDiffusion.from_pretrained(str(folder)))
    before = {name: p.clone() for name, p in other.head.named_parameters()}
    other.load_state_dict(state, strict=True)
    assert torch.equal(other.mapper.weight, holder.mapper.weight)
    assert all(torch.equal(p, before[name]) for name, p in other.head.named_parameters())
    with pytest.raises(RuntimeError, match="Unexpected key"):
        other.load_state_dict({**state, "head.surplus": torch.zeros(1)})
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({"mapper.weight": state["mapper.weight"]})


def test_half_precision_weights_return_float32(folder: Path) -> None:
    head = StableDiffusion.from_pretrained(str(folder), dtype="bfloat16")
    assert {p.dtype for p in head.parameters()} == {torch.bfloat16}
    latents = head.encode(torch.zeros(1, 3, 8, 8))
    prediction = head.predict(latents, torch.tensor(3), head.condition(torch.zeros(1, 16), "*"))
    assert {latents.dtype, prediction.dtype, head.decode(latents).dtype} == {torch.float32}


def test_half_precision_weights_need_no_autocast(folder: Path) -> None:
    head = StableDiffusion.from_pretrained(str(folder), dtype="bfloat16")
    dtypes: list[torch.dtype] = []
    for part in (head.unet, head.vae.encoder, head.vae.decoder):
        norm = part.mid_block.resnets[0].norm1
        norm.register_forward_hook(lambda _module, _inputs, output: dtypes.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        latents = head.encode(torch.zeros(1, 3, 8, 8))
        head.predict(latents, torch.tensor(3), head.condition(torch.zeros(1, 16), "*"))
        head.decode(latents)
    assert dtypes == [torch.bfloat16] * 3


def test_encode_scales_and_shifts_the_mode_whatever_the_chunk(
    head: StableDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = torch.rand(3, 3, 8, 8) * 2 - 1
    moments = head.vae.quant_conv(head.vae.encoder(image)).detach()
    mean = moments[:, :4].numpy()
    whole = head.decode(head.encode(image))
    monkeypatch.setattr(stable_diffusion, "VAE_BATCH_SIZE", 2)
    torch.testing.assert_close(head.encode(image).numpy(), mean * 0.7)
    torch.testing.assert_close(head.decode(head.encode(image)), whole)
    head.vae.register_to_config(shift_factor=0.3)
    try:
        torch.testing.assert_close(head.encode(image).numpy(), (mean - 0.3) * 0.7)
        decoded = head.decode(head.encode(image))
    finally:
        head.vae.register_to_config(shift_factor=None)
    torch.testing.assert_close(decoded, whole)
    assert decoded.shape == (3, 3, 8, 8)
    assert decoded.min() >= 0
    assert decoded.max() <= 1
