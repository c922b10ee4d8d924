"""Generated images to evaluate, by a model or by Stable Diffusion alone.

Legend: B images, C emotions, T tokens, W width of the text encoder.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from uniemo.diffusion import SamplingConfig, StableDiffusion, image_generator, sample
from uniemo.emotions import Emotions
from uniemo.model.uniemo import UniEmo
from uniemo.utils.processes import share
from uniemo.vision.images import GeneratedBatch

BASELINE_PROMPT = "an image of {}"  # published: EmoGen's prompt for Stable Diffusion


def emotion_index_batches(
    n_emotions: int, per_emotion: int, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield emotions [B] and indices [B] of the batches of this process, emotion by emotion."""
    emotion = torch.arange(n_emotions).repeat_interleave(per_emotion)
    index = torch.arange(per_emotion).repeat(n_emotions)
    yield from share(zip(emotion.split(batch_size), index.split(batch_size), strict=True))


def images_from_model(
    module: UniEmo, per_emotion: int, batch_size: int, sampling: SamplingConfig
) -> Iterator[GeneratedBatch]:
    """Generate images 0, 1, ... of every emotion from the emotion space."""
    for emotion, index in emotion_index_batches(len(module.emotions), per_emotion, batch_size):
        yield GeneratedBatch(module.painter.generate(emotion, index, sampling)[0], emotion, index)


def images_from_prompt(
    head: StableDiffusion,
    emotions: Emotions,
    per_emotion: int,
    batch_size: int,
    sampling: SamplingConfig,
    seed: int,
) -> Iterator[GeneratedBatch]:
    """Generate with Stable Diffusion alone and EmoGen's baseline prompt, "an image of {emotion}".

    See docs/method.md, "Published results", first row.
    """
    states = head.prompts.encode(
        [BASELINE_PROMPT.format(name) for name in emotions.names]
    )  # [C, T, W]
    for emotion, index in emotion_index_batches(len(emotions), per_emotion, batch_size):
        pairs = zip(emotion.tolist(), index.tolist(), strict=True)
        generators = [image_generator(seed, e, i) for e, i in pairs]
        conditions = states[emotion.to(states.device)]  # [B, T, W]
        yield GeneratedBatch(sample(head, conditions, generators, sampling), emotion, index)
