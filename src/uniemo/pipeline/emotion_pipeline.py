"""UniEmo as a diffusers pipeline: photo to emotion, emotion to picture.

Legend: B photos, N pictures, H their side in pixels, W width of a word, c latent channels, h side
of a latent, T tokens of a prompt.
"""

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import torch
from diffusers import AutoencoderKL, DiffusionPipeline, SchedulerMixin, UNet2DConditionModel
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils import BaseOutput
from huggingface_hub import HfApi
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import normalize
from transformers import CLIPTextModel, CLIPTokenizer

from uniemo.batch import Features
from uniemo.diffusion import SamplingConfig, StableDiffusion, build_scheduler
from uniemo.diffusion.stable_diffusion import Parts
from uniemo.emotions import Emotions
from uniemo.errors import UserError
from uniemo.fusion import Condition
from uniemo.model import Painter, UniEmo
from uniemo.pipeline.emotion_model import EmotionModel
from uniemo.pipeline.model_card import write_card
from uniemo.pipeline.photos import Photo, as_list, photo_squares
from uniemo.pipeline.picture_request import PictureRequest
from uniemo.pipeline.readings import Reading, make_readings
from uniemo.pipeline.sources_of_models import SHIPPED, find_model
from uniemo.pipeline.words import (
    Emotion,
    drawn_words,
    emotion_weights,
    fused_words,
    strongest,
)
from uniemo.utils.files import atomic_path

OutputType: TypeAlias = Literal["pil", "np", "pt", "latent"]
StepCallback: TypeAlias = Callable[["UniEmoPipeline", int, int, dict[str, Tensor]], dict[str, Any]]

READ_AT_ONCE = 32
STRENGTH, EDIT_INTENSITY = 0.7, 0.75  # of an edit, where none is given
PARTS = ("vae", "unet", "text_encoder", "tokenizer", "scheduler")


@dataclass
class UniEmoPipelineOutput(BaseOutput):
    """N pictures, and what each was made from."""

    images: list[Image.Image] | np.ndarray | Tensor
    """As ``output_type`` says: N PIL images; an array [N, H, H, 3] or a tensor [N, 3, H, H] in
    [0, 1]; scaled latents [N, c, h, h]."""

    words: Tensor
    """The pseudo-words [N, W] float32, on the CPU, of intensity 1."""

    scenes: list[str | None]
    """The scene that each was made from; of a blend, that of the strongest emotion."""

    objects: list[str | None]
    """The object that each was made from, likewise."""

    scene_coefficients: list[float]
    """How far the scene weighs in the word, in [0, 1]."""

    object_coefficients: list[float]
    """How far the object weighs in the word, in [0, 1]."""


class UniEmoPipeline(DiffusionPipeline):
    """Read what photos make people feel, and paint pictures that evoke an emotion.

    Make it with :meth:`from_pretrained`. Calls from several threads do not disturb each other.

    Args:
        emotion_model: What was trained.
        vae: Autoencoder of the Stable Diffusion; None, as all that follow, for a model that only
            reads.
        unet: Its U-Net.
        text_encoder: Its text encoder.
        tokenizer: Its tokenizer.
        scheduler: Any diffusers scheduler with its noise schedule; it may be replaced.
    """

    _optional_components = list(PARTS)
    _callback_tensor_inputs = ["latents"]

    emotion_model: EmotionModel
    scheduler: Any

    def __init__(
        self,
        emotion_model: EmotionModel,
        vae: AutoencoderKL | None = None,
        unet: UNet2DConditionModel | None = None,
        text_encoder: CLIPTextModel | None = None,
        tokenizer: CLIPTokenizer | None = None,
        scheduler: SchedulerMixin | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            emotion_model=emotion_model,
            vae=vae,
            unet=unet,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            scheduler=scheduler,
        )

    # --- Files ---------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(cls, source: str | Path = SHIPPED, **how: Any) -> Self:
        """Load a trained model.

        Args:
            source: A run's folder (its joint phase is taken) or that of one phase, a checkpoint
                file, a folder that :meth:`save_pretrained` wrote, or a hub id. Without it, the
                small model that comes with the package.
            how: Of a saved folder or hub id alone: what diffusers' ``from_pretrained`` takes, such
                as ``dtype`` (of the diffusion parts) or ``revision``.

        Raises:
            UserError: If there is nothing usable.
        """
        found = find_model(source, how)
        if isinstance(found, Path):
            try:
                pipe = super().from_pretrained(str(found), **({"low_cpu_mem_usage": False} | how))
            except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
                reason = " ".join(str(error).split())
                raise UserError(f"model {source} cannot be loaded ({reason})") from error
            if pipe.unet is None and pipe.emotion_model.config.diffusion_digest is not None:
                pipe._take(pipe.emotion_model.load_head())
                pipe.to(how.get("dtype", how.get("torch_dtype")))
            return pipe
        return cls.of(found.model, found.metrics)

    @classmethod
    def of(cls, model: UniEmo, metrics: dict[str, Any] | None = None) -> Self:
        """Return the pipeline of a model in memory; both share their weights.

        Args:
            model: With its emotion space, and a diffusion head unless it only reads.
            metrics: What was measured of it, for the model card.
        """
        pipe = cls(EmotionModel.of(model, metrics))
        if model.head is not None:
            pipe._take(model.head)
        return pipe

    def _take(self, head: StableDiffusion) -> None:
        """Take over a head's parts, with the scheduler of the run's sampling."""
        self.register_modules(
            vae=head.vae,
            unet=head.unet,
            text_encoder=head.text_encoder,
            tokenizer=head.prompts.tokenizer,
            scheduler=build_scheduler(head, self.emotion_model.settings.sampling.scheduler),
        )

    def save_pretrained(self, save_directory: str | Path, **how: Any) -> None:
        """Write a folder in diffusers' layout, with a model card; all of it or nothing.

        Args:
            save_directory: A folder that does not exist yet, or is empty.
            how: What diffusers' ``save_pretrained`` takes.

        Raises:
            UserError: If the folder holds something.
        """
        with new_folder(Path(save_directory)) as part:
            self.write_parts(part, **how)

    def write_parts(self, folder: Path, **how: Any) -> None:
        """Write all parts and the model card into a folder, file by file."""
        super().save_pretrained(str(folder), **how)
        write_card(folder / "README.md", self.emotion_model)

    def push_to_hub(self, repo_id: str, private: bool = False, token: str | None = None) -> str:
        """Upload the saved folder, with its model card, to the hub.

        Args:
            repo_id: ``owner/name``; made if it does not exist.
            private: Whether a new repository is private.
            token: To sign in with; None for the one stored on this machine.

        Returns:
            Address of the commit.
        """
        api = HfApi(token=token)
        api.create_repo(repo_id, private=private, exist_ok=True)
        with tempfile.TemporaryDirectory() as temporary:
            self.save_pretrained(Path(temporary, "model"))
            return str(api.upload_folder(repo_id=repo_id, folder_path=Path(temporary, "model")))

    # --- Read ----------------------------------------------------------------------------------

    def read(self, images: Photo | Sequence[Photo]) -> list[Reading]:
        """Read what photos make people feel, and from which scene and object.

        Source: docs/method.md, "Understanding chain" and "Attribute bases and correlation
        coefficient". Only a photo's centre square is read.

        Args:
            images: One photo or several: files, PIL images, arrays or tensors, one by one or
                as a batch.

        Returns:
            One :class:`~uniemo.pipeline.readings.Reading` for each photo.

        Raises:
            UserError: If a photo cannot be used.
        """
        photos, readings = as_list(images), []
        for start in range(0, max(len(photos), 1), READ_AT_ONCE):
            view = self._clip_view(photos[start : start + READ_AT_ONCE])
            output, maps = self.emotion_model.read(view)
            readings += make_readings(self.emotions, self.emotion_model.fusion, output, maps)
        return readings

    def _clip_view(self, photos: Sequence[Photo]) -> Tensor:
        """Return photos as CLIP sees them: [B, 3, h, h]."""
        size, mean, std = self.emotion_model.clip_view
        view = normalize(photo_squares(photos, size), list(mean), list(std))
        return view.to(self.emotion_model.device)

    def features_of(self, photo: Photo) -> tuple[Features, int]:
        """Return the features [1, D] of a photo, and the label index of the emotion read from it.

        Raises:
            UserError: If the photo cannot be used.
        """
        output, _ = self.emotion_model.read(self._clip_view([photo]))
        return output.features, int(output.logits.argmax())

    # --- Paint ---------------------------------------------------------------------------------

    @torch.no_grad()
    def __call__(
        self,
        emotion: Emotion | None = None,
        *,
        image: Photo | None = None,
        prompt: str | None = None,
        num_images: int = 1,
        seed: int | None = None,
        intensity: float = 1.0,
        negative: Emotion | None = None,
        guidance_scale: float | None = None,
        num_inference_steps: int | None = None,
        draws: int | None = None,
        output_type: OutputType = "pil",
        callback_on_step_end: StepCallback | None = None,
    ) -> UniEmoPipelineOutput:
        """Paint pictures that evoke an emotion, a blend of emotions, or what a photo evokes.

        Picture k of (seed, emotion) is image k of the generate phase, to rounding.

        Args:
            emotion: What to evoke. A name (docs/method.md, "Sampling": features are drawn from the
                emotion space, fused to a word and denoised); or weights, ``{"amusement": 0.6,
                "fear": 0.4}``, for the weighted sum of the emotions' words (the paper's mix of
                two conditions). None with a photo: what the photo evokes.
            image: A photo whose own features are fused instead of drawn ones (the paper's condition
                from a given image).
            prompt: Where the word stands, at its ``*``: ``"a photo of a * house"``; None for the
                one of the training.
            num_images: N.
            seed: With emotion and number, all that a picture depends on; None for the run's.
            intensity: 0 to 2. What the text encoder makes of the word is moved along the line from
                that of a neutral word (0), the mean of all emotions' mean words, to the emotion's
                (1) and beyond (extension).
            negative: An emotion to guide away from: its mean word, in the same prompt, takes the
                place of the empty prompt in classifier-free guidance (extension).
            guidance_scale: Of classifier-free guidance, as Stable Diffusion's; 1 for none. None for
                the run's.
            num_inference_steps: Steps of denoising; None for the run's.
            draws: Of so many draws from the emotion space the one that the model reads most surely
                is used (extension; published: 1). None for the run's.
            output_type: ``pil``, ``np``, ``pt`` or ``latent``.
            callback_on_step_end: Called after each step with the pipeline, the number of the step,
                the timestep and ``{"latents": ...}``; returns a dictionary, whose latents are taken
                over. Raise an exception in it to stop.

        Raises:
            UserError: If an argument is wrong, or the model only reads.
        """
        how = self._sampling(guidance_scale, num_inference_steps, draws)
        away = None if negative is None else self.weights(negative)
        painter = self.painter(seed)
        index = _numbers(num_images)
        if image is None:
            if emotion is None:
                raise UserError("there is nothing to paint; give an emotion or a photo")
            weights = self.weights(emotion)
            self.emotion_model.require_space()
            condition = drawn_words(painter, weights, index, how.draws)
        else:
            features, read = self.features_of(image)
            weights = {read: 1.0} if emotion is None else self.weights(emotion)
            condition = fused_words(painter, weights, _repeated(features, num_images))
        noise = painter.generators(torch.full_like(index, strongest(weights)), index, stream=1)
        request = PictureRequest(painter, condition, noise, how, prompt, intensity, away)
        return self._paint(request, output_type, callback_on_step_end)

    @torch.no_grad()
    def edit(
        self,
        image: Photo,
        emotion: Emotion,
        strength: float = STRENGTH,
        *,
        prompt: str | None = None,
        num_images: int = 1,
        seed: int | None = None,
        intensity: float = EDIT_INTENSITY,
        negative: Emotion | None = None,
        guidance_scale: float | None = None,
        num_inference_steps: int | None = None,
        output_type: OutputType = "pil",
        callback_on_step_end: StepCallback | None = None,
    ) -> UniEmoPipelineOutput:
        """Give a photo another emotion: image to image (SDEdit, Meng et al., 2022; extension).

        The photo's latent is noised to a part of the way and denoised with a word between the
        photo's own, fused from its features, and one of the emotion, drawn as in painting.

        Args:
            image: The photo; its centre square is edited.
            emotion: What it is to evoke, or weights as in painting.
            strength: In (0, 1]: the share of the steps that is denoised anew. Little keeps the
                photo, 1 keeps hardly more than its layout.
            prompt: As in painting, and likewise all that follow.
            num_images: N, different edits of the photo.
            seed: With emotion and number, all that an edit depends on.
            intensity: 0 to 2. As in painting, but from the photo's own word (0) to the emotion's
                (1) and beyond; less keeps more of the photo.
            negative: An emotion to guide away from.
            guidance_scale: Of classifier-free guidance.
            num_inference_steps: Steps that strength 1 takes.
            output_type: ``pil``, ``np``, ``pt`` or ``latent``.
            callback_on_step_end: Called after each step.

        Raises:
            UserError: If an argument is wrong, or the model only reads.
        """
        if not 0 < strength <= 1:
            raise UserError(f"strength is {strength}; give more than 0, up to 1")
        how = self._sampling(guidance_scale, num_inference_steps, None)
        weights = self.weights(emotion)
        away = None if negative is None else self.weights(negative)
        painter = self.painter(seed)
        index = _numbers(num_images)
        self.emotion_model.require_space()
        condition = drawn_words(painter, weights, index, how.draws)
        noise = painter.generators(torch.full_like(index, strongest(weights)), index, stream=1)
        features, read = self.features_of(image)
        own = fused_words(painter, {read: 1.0}, features).word  # [1, W]
        request = PictureRequest(painter, condition, noise, how, prompt, intensity, away, own)
        head = painter.diffusion
        latent = head.encode(photo_squares([image], head.image_size) * 2 - 1)  # [1, c, h, h]
        return self._paint(request, output_type, callback_on_step_end, latent, strength)

    # --- How -----------------------------------------------------------------------------------

    @property
    def emotions(self) -> Emotions:
        """What the model distinguishes."""
        return self.emotion_model.settings.emotions

    def weights(self, emotion: Emotion) -> dict[int, float]:
        """Return the weight of each emotion that is meant, by label index; they sum to 1.

        Raises:
            UserError: If a name is unknown, or the weights are negative or do not sum to 1.
        """
        return emotion_weights(emotion, self.emotions)

    @property
    def head(self) -> StableDiffusion:
        """The present diffusion parts as one frozen head.

        Raises:
            UserError: If the model only reads.
        """
        if self.unet is None:
            raise UserError(
                "this model only reads, because it has no diffusion parts; give a run of the joint "
                "phase"
            )
        return StableDiffusion(Parts(*(getattr(self, part) for part in PARTS)))

    def painter(self, seed: int | None = None) -> Painter:
        """Return what draws and fuses words with the present parts.

        Args:
            seed: With emotion and index, all that a picture depends on; None for the run's.

        Raises:
            UserError: If the seed is negative, or the model only reads.
        """
        seed = self.emotion_model.settings.seed if seed is None else seed
        if not isinstance(seed, int) or seed < 0:
            raise UserError(f"seed is {seed}; give a whole number, 0 or more")
        return self.emotion_model.painter(self.head, seed)

    def _sampling(
        self, guidance_scale: float | None, steps: int | None, draws: int | None
    ) -> SamplingConfig:
        """Return the run's sampling settings with what was given instead."""
        own = self.emotion_model.settings.sampling
        scale = own.guidance_scale if guidance_scale is None else float(guidance_scale)
        if not (math.isfinite(scale) and scale >= 0):
            raise UserError(f"guidance_scale is {scale}; give 0 or more")
        return replace(
            own,
            num_inference_steps=own.num_inference_steps if steps is None else steps,
            guidance_scale=scale,
            draws=own.draws if draws is None else draws,
        )

    def _paint(
        self,
        request: PictureRequest,
        output_type: OutputType,
        callback: StepCallback | None,
        start: Tensor | None = None,
        strength: float = 1.0,
    ) -> UniEmoPipelineOutput:
        """Denoise the pictures of a request, from noise or from a noised latent [1, c, h, h]."""
        if output_type not in ("pil", "np", "pt", "latent"):
            raise UserError(f"output_type is {output_type!r}; give pil, np, pt or latent")
        painter, how = request.painter, request.how
        head, prompt = painter.diffusion, request.prompt or painter.prompt
        first = 0
        if start is not None:
            first = how.num_inference_steps - max(1, round(how.num_inference_steps * strength))
        words = request.condition.word
        n_batches = math.ceil(len(words) / how.batch_size)
        with self.progress_bar(total=n_batches * (how.num_inference_steps - first)) as bar:

            def on_step_end(step: int, timestep: Tensor, latent: Tensor) -> Tensor:
                bar.update()
                if callback is None:
                    return latent
                changed = callback(self, step, int(timestep), {"latents": latent})
                return changed.get("latents", latent)

            latents = request.latents(prompt, self.scheduler, on_step_end, start, first)
        return self._output(head, latents, words, request.condition, output_type)

    def _output(
        self,
        head: StableDiffusion,
        latents: Tensor,
        words: Tensor,
        condition: Condition,
        output_type: OutputType,
    ) -> UniEmoPipelineOutput:
        fusion = self.emotion_model.fusion
        images: Any = latents if output_type == "latent" else head.decode(latents)
        if output_type in ("pil", "np"):
            images = VaeImageProcessor.pt_to_numpy(images)
        if output_type == "pil":
            images = VaeImageProcessor.numpy_to_pil(images)
        return UniEmoPipelineOutput(
            images,
            words.float().cpu(),
            _names(condition.scene, fusion.scene_names),
            _names(condition.object, fusion.object_names),
            condition.alpha_scene.tolist(),
            condition.alpha_object.tolist(),
        )


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder that becomes ``folder`` when the block ends, or vanishes if it fails.

    Raises:
        UserError: If the folder holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists; remove it or give another folder")
    with atomic_path(folder) as part:
        yield part


def _numbers(n: int) -> Tensor:
    """Return the numbers of n pictures: [n] long."""
    if not isinstance(n, int) or n < 1:
        raise UserError(f"num_images is {n}; give a whole number, 1 or more")
    return torch.arange(n)


def _repeated(features: Features, n: int) -> Features:
    """Return features [1, D] n times."""
    return Features(*(feature.expand(n, -1) for feature in features))


def _names(index: Tensor, names: Sequence[str]) -> list[str | None]:
    return [names[i] if 0 <= i < len(names) else None for i in index.tolist()]
