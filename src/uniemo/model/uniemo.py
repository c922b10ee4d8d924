"""UniEmo as one LightningModule: wires the rooms and sums the losses.

Legend: B images, D width of the features, W width of the text encoder, E width of CLIP's joint
space, S and O numbers of scene and object names, C emotions.
"""

import math
from dataclasses import asdict
from typing import Any, Literal, NamedTuple, Self

import lightning
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from uniemo.batch import Batch, Features
from uniemo.config.model import (
    ClipConfig,
    DiffusionConfig,
    EmotionSpaceConfig,
    LossWeights,
    ModelConfig,
    OptimizerConfig,
    Settings,
)
from uniemo.curriculum.reporting import SampleGrid
from uniemo.diffusion import (
    LatentCache,
    NoiseDraw,
    SamplingConfig,
    StableDiffusion,
    draw_noise,
    in_chunks,
    noise_prediction_loss,
)
from uniemo.errors import UserError
from uniemo.fusion import (
    AttributeBase,
    AttributeEvidence,
    Condition,
    Fusion,
    emotional_condition_loss,
    word_alignment_loss,
    words_of_names,
)
from uniemo.model.callbacks import EmotionSpacePass, LatentPass
from uniemo.model.checkpoint import Restorable, read_checkpoint, trained_word_width
from uniemo.model.grounding import Grounding
from uniemo.model.optimizer import (
    parameter_groups,
    stage_rates,
    stage_schedule,
    trained_parameters,
)
from uniemo.model.painter import Painting
from uniemo.model.validation_metrics import ValidationMetrics
from uniemo.understanding import (
    AttributeProjection,
    ClipBackbone,
    EmotionHead,
    LogitScale,
    UnderstandingChain,
    attribute_contrastive_loss,
    emotion_classification_loss,
    gather,
    load_clip,
    name_positives,
)
from uniemo.utils.attention import training_attention
from uniemo.utils.sources import resolve

Stage = Literal["understanding", "joint", "refresh"]


class Reading(NamedTuple):
    """What the understanding half makes of a batch."""

    features: Features
    logits: Tensor  # [B, C]
    scene: Tensor  # [B, E] fs projected into CLIP's text space, unit length
    object: Tensor  # [B, E] fo likewise


class UniEmo(Painting, Grounding, Restorable):
    """One model that reads the emotion of a picture and paints pictures that evoke one.

    The first ``understanding_epochs`` epochs train understanding alone, on L_U. The epochs after
    them train jointly, on L_joint; without a diffusion head they refresh the heads, on L_U.
    Everything that the training set fixes (text features, attribute bases, latents) is computed
    once.

    Args:
        clip: Where CLIP comes from.
        diffusion: The latent-diffusion head; null for understanding alone (third phase).
        model: The structure that is trained.
        space: The emotion space.
        loss: Weights of the losses.
        optimizer: Rates, decay and warm-up.
        sampling: How images are denoised.
        understanding_epochs: Epochs of the understanding warm-up.
        start_from: Checkpoint whose trained weights to start from, as the third phase does from the
            joint phase's; null for fresh ones.
        cache: Folder for the latents of the training pictures.
        seed: Of the noise in L(theta), of dropout and of generated images.

    Raises:
        UserError: If weights are missing or do not fit together.
    """

    def __init__(
        self,
        clip: ClipConfig = ClipConfig(),  # noqa: B008  # read only
        diffusion: DiffusionConfig | None = DiffusionConfig(),  # noqa: B008
        model: ModelConfig = ModelConfig(),  # noqa: B008
        space: EmotionSpaceConfig = EmotionSpaceConfig(),  # noqa: B008
        loss: LossWeights = LossWeights(),  # noqa: B008
        optimizer: OptimizerConfig = OptimizerConfig(),  # noqa: B008
        sampling: SamplingConfig = SamplingConfig(),  # noqa: B008
        understanding_epochs: int = 15,
        start_from: str | None = None,
        cache: str = "~/.cache/uniemo/latents",
        seed: int = 0,
    ) -> None:
        super().__init__()
        settings = Settings(clip, diffusion, model, space, loss, optimizer, sampling)
        numbers = {"understanding_epochs": understanding_epochs, "cache": cache, "seed": seed}
        self.save_hyperparameters(asdict(settings) | numbers | {"start_from": start_from})
        backbone = load_clip(resolve(clip.model), clip.pretrained)
        head = None
        if diffusion is not None:
            head = StableDiffusion(resolve(diffusion.source), diffusion.dtype)
        if start_from is None:
            self._assemble(backbone, head, settings)
        else:
            start = read_checkpoint(start_from)
            self._assemble(backbone, head, settings, trained_word_width(start))
            self.restore(start)

    @classmethod
    def from_parts(
        cls,
        backbone: ClipBackbone,
        diffusion_head: StableDiffusion | None,
        understanding_epochs: int = 0,
        cache: str = "~/.cache/uniemo/latents",
        seed: int = 0,
        **groups: Any,
    ) -> Self:
        """Build the model on parts that are loaded already, or that lie on the meta device.

        Args:
            backbone: CLIP; its visual tower becomes part of the model.
            diffusion_head: The head, or None for understanding alone.
            understanding_epochs: As in the constructor.
            cache: As in the constructor.
            seed: As in the constructor.
            **groups: Any of the constructor's groups of settings.
        """
        module = cls.__new__(cls)
        lightning.LightningModule.__init__(module)
        settings = Settings(**groups)
        numbers = {"understanding_epochs": understanding_epochs, "cache": cache, "seed": seed}
        module.save_hyperparameters(asdict(settings) | numbers)
        module._assemble(backbone, diffusion_head, settings)
        return module

    def _assemble(
        self,
        backbone: ClipBackbone,
        head: StableDiffusion | None,
        settings: Settings,
        word_width: int | None = None,
    ) -> None:
        self.clip_config = settings.clip
        self.diffusion_config = settings.diffusion or DiffusionConfig()
        self.model_config = settings.model
        self.weights = settings.loss
        self.rates = settings.optimizer
        self.sampling = settings.sampling
        self.understanding_epochs = self.hparams["understanding_epochs"]
        self.seed = self.hparams["seed"]

        self._backbone: list[ClipBackbone] = [backbone]  # a list: its text tower is no part of us
        self.clip_view = (backbone.image_size, backbone.mean, backbone.std)
        visual = backbone.model.visual
        feature_width, self.embedding_width = visual.proj.shape
        if head is not None:
            word_width = head.width
        elif word_width is None:  # the width that a Stable Diffusion for this CLIP has: 768 = 768
            word_width = self.embedding_width

        # Understanding: image -> features -> emotion.
        config = self.model_config
        self.scene_projection = AttributeProjection.from_clip(visual)
        self.object_projection = AttributeProjection.from_clip(visual)
        self.chain = UnderstandingChain(visual, config.n_queries, config.queries)
        self.emotion_head = EmotionHead(feature_width, word_width, dropout=config.dropout)
        self.scene_scale, self.object_scale = LogitScale(), LogitScale()
        self.evidence = AttributeEvidence() if config.evidence else None

        # Fusion: features -> one pseudo-word. The bases take their size from the data.
        self.fusion = Fusion(feature_width, word_width, config.coefficients)
        self.scene_base = AttributeBase(0, self.embedding_width)
        self.object_base = AttributeBase(0, self.embedding_width)
        self.scene_names: list[str] = []
        self.object_names: list[str] = []
        self.register_buffer("scene_words", torch.zeros(0, word_width), persistent=False)
        self.register_buffer("object_words", torch.zeros(0, word_width), persistent=False)
        self.space = settings.space.build(feature_width)

        # Diffusion: pseudo-word -> loss or images.
        self.head = head
        self.latents: LatentCache | None = None  # set by LatentPass
        if head is not None and head.device.type != "meta":
            self.fusion.start_among(*head.prompts.word_statistics())
        if self.rates.gradient_checkpointing:
            visual.set_grad_checkpointing(True)
            if head is not None:
                head.unet.enable_gradient_checkpointing()

        self.measurements = ValidationMetrics()

    @property
    def backbone(self) -> ClipBackbone:
        """CLIP as it was loaded; its visual tower is part of the model, its text tower is not."""
        return self._backbone[0]

    # --- Understanding -------------------------------------------------------------------------

    def read(self, clip_image: Tensor) -> Reading:
        """Read pictures [B, 3, h, h] in CLIP's normalisation."""
        return self.interpret(self.chain(clip_image))

    def interpret(self, features: Features) -> Reading:
        """Read features [B, D], a picture's or ones drawn from the emotion space."""
        logits = self.emotion_head(features.emotion)
        scene, object_ = (
            self.scene_projection(features.scene),
            self.object_projection(features.object),
        )
        if self.evidence is not None:
            bases, scales = (
                (self.scene_base, self.object_base),
                (self.scene_scale(), self.object_scale()),
            )
            logits = logits + self.evidence(scene, object_, *bases, *scales)
        return Reading(features, logits, scene, object_)

    def forward(self, clip_image: Tensor) -> Tensor:
        """Return the emotion logits [B, C] of pictures [B, 3, h, h]."""
        return self.read(clip_image).logits

    def understanding_losses(self, reading: Reading, batch: Batch) -> dict[str, Tensor]:
        """Return L_S, L_O (over the batches of all processes) and L_Cls."""
        scene_names = name_positives(batch["scene"], len(self.scene_names))  # [B, S]
        weight = torch.where(batch["generated"], self.weights.generated, 1.0)  # [B]
        all_weights = gather(weight)
        return {
            "scene": attribute_contrastive_loss(
                gather(reading.scene),
                self.scene_base.text_features,
                gather(scene_names),
                self.scene_scale(),
                all_weights,
            ),
            "object": attribute_contrastive_loss(
                gather(reading.object),
                self.object_base.text_features,
                gather(batch["objects"]),
                self.object_scale(),
                all_weights,
            ),
            "emotion": emotion_classification_loss(reading.logits, batch["emotion"], weight),
        }

    def understanding_loss(self, losses: dict[str, Tensor]) -> Tensor:
        """Return L_U, the weighted sum of :meth:`understanding_losses`."""
        w = self.weights
        return (
            w.scene * losses["scene"] + w.object * losses["object"] + w.emotion * losses["emotion"]
        )

    # --- Understanding guides generation -------------------------------------------------------

    def fuse(self, reading: Reading, emotion: Tensor) -> Condition:
        """Return the pseudo-words that express emotions [B], fused from what was read."""
        return self.fusion(
            reading.features,
            reading.scene,
            reading.object,
            emotion,
            self.scene_base,
            self.object_base,
        )

    def express(self, features: Features, emotion: Tensor) -> Condition:
        """Return the pseudo-words that express emotions [B], fused from drawn features [B, D]."""
        return self.fuse(self.interpret(features), emotion)

    def belief(self, features: Features, emotion: Tensor) -> Tensor:
        """Return p(emotion | features) [B] of emotions [B], as read from drawn features [B, D]."""
        probability = self.interpret(features).logits.float().softmax(1)  # [B, C]
        return probability.gather(1, emotion[:, None]).squeeze(1)

    def joint_losses(self, reading: Reading, batch: Batch, latent: Tensor) -> dict[str, Tensor]:
        """Return L_cond and L(theta) of a training batch and its latents [B, c, h, h]."""
        condition = self.fuse(reading, batch["emotion"])
        # In token scale, about 0.02, the head would see hardly more than its own bias (ours).
        standardised = self.fusion.standardised(condition.word)
        theta = self.theta_losses(condition, latent, batch["index"], self.current_epoch)
        return {
            "condition": emotional_condition_loss(
                self.emotion_head.read(standardised), batch["emotion"], reading.logits
            ),
            "theta": theta.mean(),
        }

    def alignment_loss(self, reading: Reading, batch: Batch) -> Tensor:
        """Return how far the mappers are from the words of the pictures' names (ours).

        A mapped scene or object should be its name's word, and the whole condition the sum of both:
        so the emotion's mapper learns to add what the coefficients take away.
        """
        features, fusion = Features(*(f.detach() for f in reading.features)), self.fusion
        scene_names = name_positives(batch["scene"], len(self.scene_names))  # [B, S]
        scene, has_scene = words_of_names(self.scene_words, scene_names)
        object_, has_object = words_of_names(self.object_words, batch["objects"])
        condition = self.fuse(reading._replace(features=features), batch["emotion"])
        whole = fusion.standardised(condition.word)  # [B, W]
        return (
            word_alignment_loss(fusion.scene_mapper(features.scene), scene, has_scene)
            + word_alignment_loss(fusion.object_mapper(features.object), object_, has_object)
            + word_alignment_loss(whole, scene + object_, has_scene & has_object)
        )

    def theta_losses(
        self, condition: Condition, latent: Tensor, index: Tensor, epoch: int
    ) -> Tensor:
        """Return L(theta) of each image [B].

        Args:
            condition: Pseudo-words of the images.
            latent: Their scaled latents [B, c, h, h].
            index: Their rows in the split [B]: with the seed and the epoch, all that the noise
                depends on, so that neither batch size nor number of processes changes it.
            epoch: Number of the epoch; -1 for validation.
        """
        head, config = self.diffusion, self.diffusion_config
        draw = draw_noise(head, latent, index, self.seed, epoch)

        def losses(words: Tensor, part: slice) -> Tensor:
            conditioning = head.condition(words, config.prompt)
            own = NoiseDraw(draw.noise[part], draw.timestep[part])
            return noise_prediction_loss(head, latent[part], conditioning, own)

        return in_chunks(losses, condition.word, config.images_at_once)

    # --- Training ------------------------------------------------------------------------------

    @property
    def stage(self) -> Stage:
        """What the present epoch trains."""
        if self.current_epoch < self.understanding_epochs:
            return "understanding"
        return self.last_stage

    @property
    def last_stage(self) -> Stage:
        """What the epochs after ``understanding_epochs`` train."""
        return "refresh" if self.head is None else "joint"

    def on_fit_start(self) -> None:
        """Keep DDP from sending buffers round at every step, validation's too.

        They are equal on all ranks already, and ranks may have unequal numbers of validation
        batches: the one with more would wait for the others.
        """
        wrapped = self.trainer.strategy.model
        if isinstance(wrapped, DistributedDataParallel):
            wrapped.broadcast_buffers = False

    def on_train_start(self) -> None:
        """Freeze what the stage's rates freeze, also where a fit goes on within an epoch."""
        self.on_train_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Freeze what the stage's rates freeze."""
        self.chain.visual.proj.requires_grad_(False)  # the chain never uses it
        rates = getattr(self.rates, self.stage)
        for group, _, parameter in trained_parameters(self):
            parameter.requires_grad_(getattr(rates, group) > 0)

    def on_train_batch_start(self, batch: Batch, batch_index: int) -> None:
        """Make dropout a function of (seed, epoch, batch, process), so that resuming is exact."""
        where = (self.seed, self.current_epoch, batch_index, self.global_rank)
        torch.manual_seed(hash(where) % 2**32)

    @property
    def stage_ends(self) -> tuple[int, int]:
        """Optimiser steps at the end of the understanding epochs, and of the fit."""
        total = int(self.trainer.estimated_stepping_batches)  # it also counts the batches
        batches, at_once = self.trainer.num_training_batches, self.trainer.accumulate_grad_batches
        return min(self.understanding_epochs * math.ceil(batches / at_once), total), total

    @property
    def longest_sequence(self) -> int:
        """Tokens of the longest sequence that a training step attends over."""
        read = len(self.chain.visual.positional_embedding) + 2 * self.model_config.n_queries
        return read if self.head is None else max(read, self.head.latent_shape[-1] ** 2)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return L_U or L_joint of a batch; log every part."""
        if self.rates.gradient_checkpointing:  # what is computed again must take the same kernel
            return self._training_loss(batch)
        with training_attention(self.device, self.longest_sequence):
            return self._training_loss(batch)

    def _training_loss(self, batch: Batch) -> Tensor:
        reading = self.read(batch["clip_image"])
        losses = self.understanding_losses(reading, batch)
        total = self.understanding_loss(losses)
        if self.stage == "joint":
            assert self.latents is not None  # LatentPass filled them
            latent = self.latents.lookup(batch["index"], batch["flipped"])
            losses |= self.joint_losses(reading, batch, latent)
            w = self.weights
            total = (
                w.understanding * total
                + w.condition * losses["condition"]
                + w.diffusion * losses["theta"]
            )
        elif self.head is not None and self.weights.alignment > 0:
            losses["alignment"] = self.alignment_loss(reading, batch)
            total = total + self.weights.alignment * losses["alignment"]
        losses["total"] = total
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.items()})
        self.log("loss", total.detach(), prog_bar=True, logger=False)
        return total

    def configure_callbacks(self) -> list[lightning.Callback]:
        """Return the passes over the training split that every fit makes, and a grid of samples."""
        return [LatentPass(), EmotionSpacePass(), SampleGrid()]

    def configure_optimizers(self) -> Any:
        """Return AdamW over the parameter groups, its rates set per stage and step.

        Raises:
            UserError: If the training has no last epoch.
        """
        stages = stage_rates(self.rates, self.last_stage)
        optimizer = torch.optim.AdamW(
            parameter_groups(self, self.rates, stages), lr=1.0, betas=(0.9, 0.999)
        )
        if self.trainer.max_epochs == -1:
            raise UserError(
                "training has no last epoch; give trainer.max_epochs (trainer.max_steps may end it "
                "before)"
            )
        schedule = stage_schedule(optimizer, stages, self.rates.warmup, *self.stage_ends)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    # --- Validation and test -------------------------------------------------------------------

    def validation_step(self, batch: Batch, _: int) -> None:
        """Measure accuracy, macro F1 and, once it is trained, L(theta)."""
        reading = self.read(batch["clip_image"])
        self.measurements.update(reading.logits, batch["emotion"])
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        untrained = fitting and self.stage != "joint"
        if self.head is not None and not (untrained or self.trainer.testing):
            condition = self.fuse(reading, batch["emotion"])
            latent = self.diffusion.encode(batch["diffusion_image"])
            losses = self.theta_losses(condition, latent, batch["index"], -1)
            self.measurements.update_theta(losses)

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's measurements under ``val/``."""
        self._log_measurements("val")

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Measure accuracy and macro F1 on the test split."""
        self.validation_step(batch, batch_index)

    def on_test_epoch_end(self) -> None:
        """Log the measurements under ``test/``."""
        self._log_measurements("test")

    def _log_measurements(self, split: str) -> None:
        results = self.measurements.compute_and_reset()
        self.log_dict({f"{split}/{name}": value for name, value in results.items()}, prog_bar=True)
