"""Train the small backbones, stage by stage.

A stage is ``clip``, ``autoencoder``, ``denoiser`` or ``scores``.
"""

from pathlib import Path
from typing import Literal

import lightning
import open_clip
import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer

from uniemo.backbones import autoencoder, clip, denoiser
from uniemo.backbones.captions import build_tokenizer
from uniemo.backbones.scores import write_scores
from uniemo.backbones.stage import run


def train_clip(folder: Path, weights: Path, seed: int, steps: int, processes: int) -> None:
    """Train the small CLIP and write ``weights/clip``."""
    tokenizer = build_tokenizer(folder / "tokenizer")
    stage = clip.ClipStage(
        tokenizer, seed=seed, steps=steps, batch_size=64, learning_rate=1e-3, warmup=300
    )
    run(stage, folder / "clip", processes)
    if stage.global_rank == 0:
        clip.save(stage.clip, tokenizer, weights / "clip")


def train_autoencoder(folder: Path, weights: Path, seed: int, steps: int, processes: int) -> None:
    """Train the small autoencoder, make it isometric, write ``weights/stable_diffusion/vae``."""
    stage = autoencoder.AutoencoderStage(
        seed=seed, steps=steps, batch_size=8, learning_rate=1e-3, warmup=100
    )
    run(stage, folder / "autoencoder", processes)
    if stage.global_rank == 0:
        autoencoder.make_isometric(stage.autoencoder.eval(), seed + 1)
        autoencoder.save(stage.autoencoder, weights / "stable_diffusion")


def train_denoiser(folder: Path, weights: Path, seed: int, steps: int, processes: int) -> None:
    """Train the U-Net and its text encoder on the two others; complete ``stable_diffusion``."""
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{weights / 'clip'}")
    tokenizer = CLIPTokenizer.from_pretrained(weights / "clip")
    vae = AutoencoderKL.from_pretrained(weights / "stable_diffusion" / "vae").float()
    stage = denoiser.DenoiserStage(
        model, vae, tokenizer, seed=seed, steps=steps, batch_size=64, learning_rate=2e-3
    )
    run(stage, folder / "denoiser", processes)
    if stage.global_rank == 0:
        denoiser.save(stage, tokenizer, weights / "stable_diffusion")


# With as many steps as version 7 of the weights.
STAGES = {
    "clip": (train_clip, 3800),
    "autoencoder": (train_autoencoder, 5700),
    "denoiser": (train_denoiser, 9000),
}


def train(
    stage: Literal["clip", "autoencoder", "denoiser", "scores", "all"] = "all",
    folder: Path = Path("runs/backbones"),
    weights: Path = Path(__file__).parent / "weights",
    seed: int = 0,
    steps: int | None = None,
    processes: int = 1,
    threads: int | None = None,
) -> None:
    """Train the small backbones.

    A stage resumes from its newest checkpoint; a finished stage is skipped. "clip" and
    "autoencoder" do not depend on each other and can run in parallel. "scores" evaluates the
    weights.

    Args:
        stage: Stage to run.
        folder: Folder of the checkpoints.
        weights: Folder of the weights, which are written, and of their scores.
        seed: Seed of the initial weights, the images and the noise.
        steps: Number of steps of a stage; by default its own.
        processes: Number of processes that share a step.
        threads: Number of threads of each process; by default torch's own.
    """
    torch.set_num_threads(threads or torch.get_num_threads())
    lightning.seed_everything(seed, verbose=False)
    for name, (run_stage, default_steps) in STAGES.items():
        if stage in (name, "all"):
            run_stage(folder, weights, seed, steps or default_steps, processes)
    if stage in ("scores", "all"):
        write_scores(weights)
