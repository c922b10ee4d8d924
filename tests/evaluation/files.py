"""Files of a run that was trained for no step, of a composed data set, of another system."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import torch
from PIL import Image

from tests.conftest import settings
from uniemo.batch import Annotations, Features
from uniemo.config.model import ClipConfig, DiffusionConfig, ModelConfig, ModelSettings
from uniemo.emotions import EMOTIONS
from uniemo.model import build_model

N_OBJECTS, N_SCENES = 4, 3


def write_run(tiny_files: dict[str, Path], root: Path) -> SimpleNamespace:
    """Write a run with a checkpoint, curves and a manifest; return its file, folder, overrides."""
    run = root / "runs" / "tiny" / "joint"
    run.mkdir(parents=True)
    write_checkpoint(run / "best.ckpt", tiny_files)
    (run / "curves/version_0").mkdir(parents=True)
    (run / "curves/version_0/metrics.csv").write_text(
        "epoch,step,train/total,val/accuracy\n0,1,2.0,\n0,2,1.5,\n0,2,,0.25\n1,4,1.0,\n1,4,,0.5\n"
    )
    write_manifest(root / "runs" / "tiny" / "generate")
    overrides = settings(
        tiny_files,
        **{
            "runs": root / "runs",
            "eval.n_images": 3,
            "eval.batch_size": 5,
            "eval.judge_size": 32,
            "eval.n_reconstructed": 16,
            "eval.cache": root / "cache",
            "model.sampling.guidance_scale": 2.0,
        },
    )
    default = Path("experiments/emoscenes.yaml").read_text()
    file = root / "tiny.yaml"
    file.write_text(default.replace("experiment: emoscenes", "experiment: tiny"))
    return SimpleNamespace(file=file, folder=root / "runs" / "tiny", overrides=overrides)


def write_checkpoint(path: Path, tiny_files: dict[str, Path], head: bool = True) -> None:
    torch.manual_seed(0)
    module = build_model(
        ModelSettings(
            ClipConfig(f"local-dir:{tiny_files['clip']}", None),
            DiffusionConfig(str(tiny_files["stable_diffusion"])) if head else None,
            ModelConfig(n_queries=2),
        )
    )
    generator = torch.Generator().manual_seed(1)
    emotion = torch.arange(64) % 8
    scene = torch.randint(-1, N_SCENES, (64,), generator=generator)
    objects = torch.rand(64, N_OBJECTS, generator=generator) < 0.4
    names = ["airfield", "bakery/shop", "coast"], ["Alarm clock", "Cake", "Lion", "Skull"]
    module.fill_bases(Annotations(emotion, scene, objects), *names)
    noise = [
        torch.randn(64, module.understanding.chain.width, generator=generator) for _ in range(3)
    ]
    module.painter.space.update(Features(*noise), emotion, torch.arange(64))
    checkpoint = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    module.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, path)


def write_manifest(folder: Path) -> None:
    folder.mkdir()
    rows = []
    for number, reason in enumerate(["kept", "wrong_emotion", "kept", "near_copy"]):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        rows.append({"image": f"{number}.png", "target": number, "reason": reason})
    parquet.write_table(pa.Table.from_pylist(rows), folder / "manifest.parquet")


def write_composed(tiny_files: dict[str, Path], root: Path) -> Path:
    """Write a copy of the tiny EmoSet that has boxes and posteriors, as EmoScenes has."""
    shutil.copytree(tiny_files["emoset"], root)
    (root / "card.json").write_text(json.dumps({"name": "Composed", "size": 64}))
    rows = json.loads((root / "test.json").read_text())
    for number, row in enumerate(rows):
        path = root / row[-1]
        annotation = json.loads(path.read_text())
        annotation["box"] = None if number % 4 == 3 else [0, 16, 32, 48]
        annotation["posterior"] = [0.02] * 8
        annotation["posterior"][EMOTIONS.index(row[0])] = 0.86
        path.write_text(json.dumps(annotation))
    return root


def write_image_folder(root: Path) -> Path:
    """Write images of another system, of unequal number, shape and format."""
    generator = np.random.default_rng(0)
    for number, name in enumerate(EMOTIONS):
        (root / name).mkdir(parents=True)
        for k in range(2 + number % 2):
            pixels = generator.integers(0, 255, (12 + k, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{k}.{'png' if k else 'jpg'}")
    return root
