"""Train the small backbones: ``python -m uniemo.backbones --stage clip``, or another stage.

Every stage resumes from its newest checkpoint under ``--folder``; a finished stage is skipped.
``clip`` and ``autoencoder`` do not depend on each other and may run side by side. ``scores``
measures the weights that lie in ``--weights`` and keeps nothing but its results there.
"""

import argparse
from pathlib import Path

import lightning
import open_clip
import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer

from uniemo.backbones import autoencoder, clip, denoiser
from uniemo.backbones.captions import build_tokenizer
from uniemo.backbones.scores import write_scores
from uniemo.backbones.stage import run
from uniemo.utils.allocator import keep_freed_memory


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


# As many steps as version 7 of the weights had in all.
STAGES = {
    "clip": (train_clip, 3800),
    "autoencoder": (train_autoencoder, 5700),
    "denoiser": (train_denoiser, 9000),
}


def main() -> None:
    """Parse the command line and train the stages asked for."""
    parser = argparse.ArgumentParser(prog="python -m uniemo.backbones", description=__doc__)
    parser.add_argument("--stage", choices=[*STAGES, "scores", "all"], default="all")
    parser.add_argument("--folder", type=Path, default=Path("runs/backbones"), help="checkpoints")
    parser.add_argument(
        "--weights", type=Path, default=Path(__file__).parent / "weights", help="what is written"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="length of the one stage asked for")
    parser.add_argument("--processes", type=int, default=1, help="that share a step")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of each")
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    lightning.seed_everything(arguments.seed, verbose=False)
    for name, (train, steps) in STAGES.items():
        if arguments.stage in (name, "all"):
            train(
                arguments.folder,
                arguments.weights,
                arguments.seed,
                arguments.steps or steps,
                arguments.processes,
            )
    if arguments.stage in ("scores", "all"):
        write_scores(arguments.weights)


if __name__ == "__main__":
    main()
