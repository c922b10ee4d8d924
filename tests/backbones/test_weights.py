"""The weights that come with the package."""

import json
from pathlib import Path

from safetensors import safe_open

import uniemo.backbones

WEIGHTS = Path(uniemo.backbones.__file__).parent / "weights"


def test_the_shipped_weights_are_small_in_half_precision_and_fit_each_other() -> None:
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 48 * 2**20

    tensors = [path for path in files if path.suffix == ".safetensors"]
    assert {str(path.relative_to(WEIGHTS).parent) for path in tensors} == {
        "clip",
        *(f"stable_diffusion/{part}" for part in ("text_encoder", "unet", "vae")),
    }
    for path in tensors:
        with safe_open(path, "pt") as stored:
            kinds = {name: stored.get_slice(name).get_dtype() for name in stored.keys()}  # noqa: SIM118
        assert {kind for kind in kinds.values() if kind[0] in "BF"} == {"F16"}, path

    def read(name: str) -> dict:
        return json.loads((WEIGHTS / name).read_text())

    width = read("stable_diffusion/text_encoder/config.json")["hidden_size"]
    assert read("clip/open_clip_config.json")["model_cfg"]["embed_dim"] == width
    assert read("stable_diffusion/unet/config.json")["cross_attention_dim"] == width
