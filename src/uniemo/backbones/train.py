"""Train the small backbones, stage by stage."""

from pathlib import Path
from typing import Any, Literal

import lightning
import open_clip
import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer

from uniemo.backbones.autoencoder import AutoencoderStage
from uniemo.backbones.captions import build_tokenizer
from uniemo.backbones.clip import ClipStage
from uniemo.backbones.decoder import DecoderStage
from uniemo.backbones.denoiser import DenoiserStage
from uniemo.backbones.scores import write_scores
from uniemo.backbones.stage import Stage, run

STEPS = {"clip": 3800, "autoencoder": 17000, "decoder": 1600, "denoiser": 9000}
"""Stages in their order; clip and denoiser with as many steps as version 7 of the weights."""


def build_stage(name: str, weights: Path, **settings: Any) -> Stage:
    """Return a stage; decoder and denoiser start from the others' ``weights``."""
    if name == "clip":
        tokenizer = build_tokenizer()
        return ClipStage(tokenizer, batch_size=64, learning_rate=1e-3, warmup=300, **settings)
    if name == "autoencoder":
        return AutoencoderStage(batch_size=8, learning_rate=1e-3, warmup=100, **settings)
    clip = open_clip.create_model(f"local-dir:{weights / 'clip'}")
    vae = AutoencoderKL.from_pretrained(weights / "stable_diffusion" / "vae").float()
    if name == "decoder":
        return DecoderStage(clip, vae, batch_size=8, learning_rate=5e-4, warmup=100, **settings)
    tokenizer = CLIPTokenizer.from_pretrained(weights / "clip")
    return DenoiserStage(clip, vae, tokenizer, batch_size=64, learning_rate=2e-3, **settings)


def train(
    stage: Literal["clip", "autoencoder", "decoder", "denoiser", "scores", "all"] = "all",
    folder: Path = Path("runs/backbones"),
    weights: Path = Path(__file__).parent / "weights",
    seed: int = 0,
    steps: int | None = None,
    processes: int = 1,
    threads: int | None = None,
) -> None:
    """Train the small backbones.

    A stage resumes from its newest checkpoint; a finished stage is skipped. "clip" and
    "autoencoder" do not depend on each other and can run in parallel; neither do "decoder" and
    "denoiser", which start from the two. "scores" evaluates the weights.

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
    for name, own_steps in STEPS.items():
        if stage in (name, "all"):
            built = build_stage(name, weights, seed=seed, steps=steps or own_steps)
            run(built, folder / name, processes)
            if built.global_rank == 0:
                built.save(weights)
    if stage in ("scores", "all"):
        write_scores(weights)
