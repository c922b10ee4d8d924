"""The settings of the model, as the command line and YAML files name them.

A later configuration merges these key by key. Published values: docs/method.md, "Published
settings"; where a default differs from them it says so.
"""

from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

import torch

from uniemo.diffusion import SamplingConfig, StableDiffusion
from uniemo.diffusion.random_weights import (
    STABLE_DIFFUSION_15,
    clip_tokenizer,
    random_stable_diffusion,
)
from uniemo.emotions import Emotions
from uniemo.errors import UserError, check_least, check_not_negative
from uniemo.fusion import (
    Coefficients,
    DiagonalGaussian,
    EmotionSpace,
    Mixture,
    StoredFeatures,
    TiedGaussian,
)
from uniemo.understanding import FeatureDepth, QuerySets, QueryStart
from uniemo.utils.sources import resolve


@dataclass
class ClipConfig:
    """Where CLIP comes from."""

    model: str = "ViT-L-14-quickgelu"
    """An open_clip model name, a folder as ``local-dir:PATH``, or a hub id as ``hf-hub:ID``;
    ``package:PATH`` in it means a folder inside the installed uniemo package."""

    pretrained: str | None = "openai"
    """For a model name: a tag of open_clip's weights, or a weights file. Null for folders and hub
    ids, which bring their own."""

    scene_template: str = "a photo of {}"
    """Sentence in which CLIP's text tower reads a scene's name."""

    object_template: str = "a photo of {}"
    """Sentence in which CLIP's text tower reads an object's name."""

    def __post_init__(self) -> None:
        """Raise a UserError if a sentence has not one place for the name."""
        for key in ("scene_template", "object_template"):
            template = getattr(self, key)
            if template.count("{}") != 1 or set("{}") & set(template.replace("{}", "")):
                raise UserError(
                    f"model.clip.{key} is {template!r}; write {{}} once, where the name goes"
                )


@dataclass
class DiffusionConfig:
    """The frozen latent-diffusion head."""

    source: str = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    """A Stable-Diffusion folder in diffusers' layout, or the hub id of one; ``package:PATH`` means
    a folder inside the installed uniemo package."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the frozen weights."""

    prompt: str = "a *"
    """The prompt; its ``*`` is the pseudo-word (extension: the published one is unknown)."""

    images_at_once: int | None = None
    """Images of a batch that are in the U-Net at once, 0.7 GB of GPU memory each at paper scale.
    Results do not depend on it. Null: what the GPU's free memory holds; 16 on other devices."""

    def load(self, random_weights: bool = False) -> StableDiffusion:
        """Load the head, or one of Stable Diffusion 1.5's structure with random weights.

        Raises:
            UserError: If a part cannot be found or read, or the parts do not fit together.
        """
        if random_weights:
            dtype = getattr(torch, self.dtype)
            return random_stable_diffusion(
                **STABLE_DIFFUSION_15, tokenizer=clip_tokenizer(), dtype=dtype
            )
        return StableDiffusion.from_pretrained(resolve(self.source), self.dtype)


@dataclass
class ModelConfig:
    """The structure that is trained."""

    n_queries: int = 32
    """Tokens of each set of expert queries; for none set ``queries: none``."""

    queries: QuerySets = "both"
    """Which sets of expert queries there are; all but ``both`` are ablations."""

    coefficients: Coefficients = "retrieved"
    """Where the correlation coefficients come from; all but ``retrieved`` are ablations."""

    query_start: QueryStart = "class_token"
    """What a set of queries starts as (extension; published: ``learned``)."""

    feature_depth: FeatureDepth = "last"
    """After which layers fs and fo are read (extension; published: ``own``)."""

    smoothing: float = 2.0
    """Images that the prior p(emotion) counts as in p(emotion | name) (extension; published: 0)."""

    support: int = 0
    """Training images a scene or object must occur in to enter the attribute base (published: 10);
    0 for every name."""

    dropout: float = 0.5
    """Dropout of the emotion head."""

    evidence: bool = False
    """Whether the emotion's logits also hold what the names in the two attribute bases say of it
    (extension; the published head reads fe alone)."""

    normalise: bool = True
    """Whether mappers and projections normalise features, and words start among the token
    embeddings of real ones (extension). The public code does neither: false is for its weights."""

    def __post_init__(self) -> None:
        """Raise a UserError if a number is out of range."""
        check_least(self, "model.model", n_queries=1, smoothing=0, support=0)
        if not 0 <= self.dropout < 1:
            raise UserError(f"model.model.dropout is {self.dropout}; give 0 or more, below 1")


@dataclass
class EmotionSpaceConfig:
    """What is kept of the training split's features, to generate from."""

    kind: Literal["diagonal", "tied", "mixture", "stored"] = "diagonal"
    """``diagonal``: the published Gaussians. ``tied``: low-rank covariance over [fe, fs, fo].
    ``mixture``: several modes per emotion. ``stored``: jittered features of real images. The last
    three are extensions, which keep fe, fs and fo of one image together."""

    rank: int = 64
    """For ``tied``: principal axes per emotion."""

    modes: int = 16
    """For ``mixture``: modes per emotion."""

    jitter: float = 0.2
    """For ``stored``: deviation of the added noise, in deviations of the emotion's features."""

    capacity: int = 1024
    """For all but ``diagonal``: rows of the training split used, per emotion."""

    def __post_init__(self) -> None:
        """Raise a UserError if a number is out of range."""
        check_least(self, "model.space", rank=1, modes=1, jitter=0, capacity=1)

    def build(self, feature_width: int, n_emotions: int) -> EmotionSpace:
        """Build the empty emotion space for features of this width."""
        match self.kind:
            case "diagonal":
                return DiagonalGaussian(feature_width, n_emotions)
            case "tied":
                return TiedGaussian(feature_width, self.rank, self.capacity, n_emotions)
            case "mixture":
                return Mixture(feature_width, self.modes, self.capacity, n_emotions)
            case "stored":
                return StoredFeatures(feature_width, self.jitter, self.capacity, n_emotions)


@dataclass
class LossWeights:
    """L_joint = understanding L_U + condition L_cond + diffusion L(theta)."""

    scene: float = 0.05
    """Weight of L_S in L_U."""

    object: float = 0.05
    """Weight of L_O in L_U."""

    emotion: float = 0.9
    """Weight of L_Cls in L_U."""

    understanding: float = 0.5
    """Weight of L_U in L_joint; the understanding epochs before use 1."""

    condition: float = 0.001
    """Weight of L_cond."""

    diffusion: float = 1.0
    """Weight of L(theta)."""

    alignment: float = 0.0
    """Weight, in the understanding epochs, of the distance of mapped scenes, objects and the whole
    condition to the words of their names; it moves the mappers alone, at their rate in those epochs
    (extension; the published training starts the mappers anywhere)."""

    generated: float = 1.0
    """Weight of a generated image in L_U, a real one having 1 (third phase; extension)."""

    def __post_init__(self) -> None:
        """Raise a UserError if a weight is negative."""
        check_not_negative(self, "model.loss")


@dataclass
class StageRates:
    """Peak learning rates of one stage; 0 freezes a group."""

    visual: float = 0.0
    """CLIP's visual tower."""

    queries: float = 5e-4
    """Expert queries and interactive blocks."""

    heads: float = 1e-4
    """Emotion head, projections and the contrastive temperature."""

    mappers: float = 0.0
    """The three mappers."""

    def __post_init__(self) -> None:
        """Raise a UserError if a rate is negative."""
        check_not_negative(self, "learning rate")


@dataclass
class OptimizerConfig:
    """AdamW, with a cosine after a warm-up in each of a fit's two stages."""

    understanding: StageRates = field(default_factory=lambda: StageRates(visual=8e-6))
    """Rates of the understanding epochs (published)."""

    joint: StageRates = field(default_factory=lambda: StageRates(mappers=1e-3))
    """Rates of the joint epochs (published: the visual tower is frozen)."""

    refresh: StageRates = field(default_factory=lambda: StageRates(queries=0.0))
    """Rates of the epochs after the understanding epochs where there is no diffusion head: the last
    refresh of the third phase, heads alone (extension)."""

    weight_decay_visual: float = 1e-3
    """Decay of the visual tower's weights; biases, norms and embeddings have none."""

    weight_decay: float = 1e-2
    """Decay of all other weights; biases, norms and queries have none."""

    warmup: float = 0.05
    """Share of a stage's steps over which its rates rise from 0 (extension)."""

    gradient_checkpointing: bool = False
    """Whether CLIP and the U-Net compute their activations again in the backward pass instead of
    keeping them: a third more work, a fraction of the memory."""

    skip: int = 0
    """Steps whose gradient is not finite that are skipped before the fit stops (extension)."""

    def __post_init__(self) -> None:
        """Raise a UserError if a number is out of range."""
        check_least(self, "model.optimizer", weight_decay=0, weight_decay_visual=0, skip=0)
        if not 0 <= self.warmup <= 1:
            raise UserError(f"model.optimizer.warmup is {self.warmup}; give a share from 0 to 1")


@dataclass
class ModelSettings:
    """All settings of a model: the group ``model`` of an experiment."""

    clip: ClipConfig = field(default_factory=ClipConfig)

    diffusion: DiffusionConfig | None = field(default_factory=DiffusionConfig)
    """The latent-diffusion head; null for understanding alone (third phase)."""

    model: ModelConfig = field(default_factory=ModelConfig)
    space: EmotionSpaceConfig = field(default_factory=EmotionSpaceConfig)
    loss: LossWeights = field(default_factory=LossWeights)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    understanding_epochs: int = 15
    """Epochs that train understanding alone, before the joint ones."""

    start_from: str | None = None
    """Checkpoint whose trained weights to start from, as the third phase does from the joint
    phase's; null for fresh ones."""

    compile: bool = False
    """Whether fits and predictions on a GPU compile CLIP's blocks, the U-Net and the VAE's decoder:
    minutes once, then faster steps. Results change by rounding alone; CPUs take no notice."""

    random_weights: bool = False
    """Whether CLIP and Stable Diffusion (1.5's structure) have random weights: for a dry run of
    their memory and speed, which needs no download and learns nothing."""

    cache: str = "~/.cache/uniemo/latents"
    """Folder for the latents of the training images."""

    seed: int = 0
    """Of the noise in L(theta), of dropout and of generated images; an experiment gives its own."""

    emotions: Emotions = field(default_factory=Emotions)
    """What the model distinguishes; an experiment takes those of its data set."""

    def __post_init__(self) -> None:
        """Raise a UserError if a number is out of range."""
        check_least(self, "model", understanding_epochs=0)
        if self.diffusion is not None and self.diffusion.images_at_once is not None:
            check_least(self.diffusion, "model.diffusion", images_at_once=1)

    @classmethod
    def of_trained(cls, saved: dict[str, Any], start_from: str | None) -> Self:
        """Return what a checkpoint's hyperparameters say, but for the rates: it is trained.

        Args:
            saved: The checkpoint's ``hyper_parameters``.
            start_from: The checkpoint; None for one whose weights are loaded otherwise.
        """
        saved = {"emotions": {}} | saved  # the eight were not in it when there were no others
        settings: dict[str, Any] = {"start_from": start_from}
        for each in fields(cls):
            if each.name not in ("optimizer", "cache", "start_from", "random_weights", "compile"):
                kind: Any = each.default_factory
                value = saved[each.name]
                settings[each.name] = kind(**value) if isinstance(value, dict) else value
        return cls(**settings)
