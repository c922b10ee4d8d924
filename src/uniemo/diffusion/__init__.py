"""The frozen latent-diffusion head: pseudo-word to noise-prediction loss or images."""

from uniemo.diffusion.latents import LatentCache, latent_fingerprint
from uniemo.diffusion.losses import NoiseDraw, NoiseSource, in_chunks, noise_prediction_loss
from uniemo.diffusion.sampler import (
    SamplingConfig,
    build_scheduler,
    denoise,
    image_generator,
    initial_noise,
    sample,
)
from uniemo.diffusion.stable_diffusion import StableDiffusion

__all__ = [
    "LatentCache",
    "NoiseDraw",
    "NoiseSource",
    "SamplingConfig",
    "StableDiffusion",
    "build_scheduler",
    "denoise",
    "image_generator",
    "in_chunks",
    "initial_noise",
    "latent_fingerprint",
    "noise_prediction_loss",
    "sample",
]
