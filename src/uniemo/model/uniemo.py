"""UniEmo as one LightningModule: wires its parts and sums the losses.

Source: docs/method.md, "Joint objective".

Legend: B images, h side of CLIP's view and H of the diffusion view in pixels, D width of the
features, W width of the text encoder, E width of CLIP's joint space, S and O numbers of scene and
object names, K of either, C emotions, c latent channels.
"""

import gc
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from uniemo.batch import Annotations, Batch, Features, Request
from uniemo.config.model import ModelSettings
from uniemo.diffusion import (
    NoiseDraw,
    NoiseSource,
    StableDiffusion,
    in_chunks,
    noise_prediction_loss,
)
from uniemo.diffusion.memory import images_that_fit
from uniemo.emotions import Emotions
from uniemo.errors import UserError
from uniemo.fusion import (
    AttributeBase,
    Condition,
    Fusion,
    emotional_condition_loss,
    word_alignment_loss,
    words_of_names,
)
from uniemo.model.callbacks import EmotionSpacePass, LatentPass
from uniemo.model.compilation import compile_networks
from uniemo.model.finite import FiniteSteps
from uniemo.model.optimizer import (
    adamw,
    parameter_groups,
    stage_schedule,
    trained_parameters,
)
from uniemo.model.painter import Painter, read_features
from uniemo.model.validation_metrics import ValidationMetrics
from uniemo.understanding import (
    Understanding,
    UnderstandingOutput,
    attribute_contrastive_loss,
    emotion_classification_loss,
    gather,
    name_positives,
)
from uniemo.utils.attention import training_attention

Stage = Literal["understanding", "joint", "refresh"]


class UniEmo(lightning.LightningModule):
    """One model that reads the emotion of an image and generates images that evoke one.

    The first ``understanding_epochs`` epochs train understanding alone, on L_U. The epochs after
    them train jointly, on L_joint; without a diffusion head they refresh the heads, on L_U.
    :func:`uniemo.model.build_model` makes the parts from settings.

    A fit needs a data module (:class:`uniemo.utils.data.EmotionData`): attribute bases are computed
    from its annotations when the fit is set up, latents before the first joint epoch, the emotion
    space after the last one. Nothing else is needed: ``Trainer(...).fit(model, datamodule=data)``.

    Args:
        understanding: Image -> features -> emotion logits.
        fusion: Features -> pseudo-word.
        painter: Pseudo-word -> image; holds the diffusion head, or none, and the emotion space.
        settings: Weights of the losses, rates, epochs and seed.
    """

    def __init__(
        self,
        understanding: Understanding,
        fusion: Fusion,
        painter: Painter,
        settings: ModelSettings,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(asdict(settings))
        self.settings = settings
        self.understanding = understanding
        self.fusion = fusion
        self.painter = painter
        if settings.optimizer.gradient_checkpointing:
            understanding.chain.visual.set_grad_checkpointing(True)
            if painter.head is not None:
                painter.head.unet.enable_gradient_checkpointing()
        self._fitting: dict[tuple[int, bool], int] = {}  # images at once, where not given
        self._compiled = False
        self.validation_metrics = ValidationMetrics(len(settings.emotions))
        self.trained_on: dict[str, Any] = {}  # name, licence and number of images of the data

    @property
    def head(self) -> StableDiffusion | None:
        """The diffusion head; None for understanding alone."""
        return self.painter.head

    @property
    def emotions(self) -> Emotions:
        """What it distinguishes."""
        return self.settings.emotions

    @property
    def clip_view(self) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
        """What images must look like for CLIP: side h, mean and standard deviation."""
        backbone = self.understanding.backbone
        return backbone.image_size, backbone.mean, backbone.std

    @property
    def image_size(self) -> int | None:
        """Side H of the images that the diffusion head generates; None without one."""
        return None if self.head is None else self.head.image_size

    # --- Understanding -------------------------------------------------------------------------

    def read(self, clip_image: Tensor) -> UnderstandingOutput:
        """Read images [B, 3, h, h] in CLIP's normalisation."""
        return self.read_features(self.understanding.chain(clip_image))

    def read_features(self, features: Features) -> UnderstandingOutput:
        """Read features [B, D], of images or drawn from the emotion space."""
        return read_features(self.understanding, self.fusion, features)

    def forward(self, clip_image: Tensor) -> Tensor:
        """Return the emotion logits [B, C] of images [B, 3, h, h]."""
        return self.read(clip_image).logits

    def understanding_losses(self, output: UnderstandingOutput, batch: Batch) -> dict[str, Tensor]:
        """Return L_S, L_O (over the batches of all processes) and L_Cls."""
        understanding, fusion = self.understanding, self.fusion
        scene_names = name_positives(batch["scene"], len(fusion.scene_names))  # [B, S]
        weight = torch.where(batch["generated"], self.settings.loss.generated, 1.0)  # [B]
        all_weights = gather(weight)
        return {
            "scene": attribute_contrastive_loss(
                gather(output.scene),
                fusion.scene_base.text_features,
                gather(scene_names),
                understanding.scene_scale(),
                all_weights,
            ),
            "object": attribute_contrastive_loss(
                gather(output.object),
                fusion.object_base.text_features,
                gather(batch["objects"]),
                understanding.object_scale(),
                all_weights,
            ),
            "emotion": emotion_classification_loss(
                output.logits, batch.get("votes", batch["emotion"]), weight
            ),
        }

    def understanding_loss(self, losses: dict[str, Tensor]) -> Tensor:
        """Return L_U, the weighted sum of :meth:`understanding_losses`."""
        w = self.settings.loss
        return (
            w.scene * losses["scene"] + w.object * losses["object"] + w.emotion * losses["emotion"]
        )

    # --- Understanding guides generation -------------------------------------------------------

    def fuse(self, output: UnderstandingOutput, emotion: Tensor) -> Condition:
        """Return the pseudo-words that express emotions [B], fused from what was read."""
        return self.fusion(output.features, output.scene, output.object, emotion)

    def joint_losses(self, output: UnderstandingOutput, batch: Batch) -> dict[str, Tensor]:
        """Return L_cond and L(theta) of a training batch that holds latents and noise."""
        condition = self.fuse(output, batch["emotion"])
        # In token scale, about 0.02, the head would see hardly more than its own bias (extension).
        standardised = self.fusion.standardised(condition.word)
        draw = NoiseDraw(batch["noise"], batch["timestep"])
        theta = self.noise_prediction_losses(condition, batch["latent"].float(), draw)
        return {
            "condition": emotional_condition_loss(
                self.understanding.emotion_head.read(standardised), batch["emotion"], output.logits
            ),
            "theta": theta.mean(),
        }

    def alignment_loss(self, output: UnderstandingOutput, batch: Batch) -> Tensor:
        """Return how far the mappers are from the words of the images' names (extension).

        A mapped scene or object should be its name's word, and the whole condition the sum of both:
        so the emotion's mapper learns to add what the coefficients take away.
        """
        features, fusion = Features(*(f.detach() for f in output.features)), self.fusion
        scene_names = name_positives(batch["scene"], len(fusion.scene_names))  # [B, S]
        scene, has_scene = words_of_names(fusion.scene_words, scene_names)
        object_, has_object = words_of_names(fusion.object_words, batch["objects"])
        condition = self.fuse(output._replace(features=features), batch["emotion"])
        whole = fusion.standardised(condition.word)  # [B, W]
        return (
            word_alignment_loss(fusion.scene_mapper(features.scene), scene, has_scene)
            + word_alignment_loss(fusion.object_mapper(features.object), object_, has_object)
            + word_alignment_loss(whole, scene + object_, has_scene & has_object)
        )

    @property
    def noise(self) -> NoiseSource:
        """What draws the noise of L(theta)."""
        return NoiseSource.of(self.painter.diffusion, self.settings.seed)

    def noise_prediction_losses(
        self, condition: Condition, latent: Tensor, draw: NoiseDraw
    ) -> Tensor:
        """Return L(theta) of each image [B].

        Args:
            condition: Pseudo-words of the images.
            latent: Their scaled latents [B, c, h, h].
            draw: Their noise and timesteps, from :attr:`noise`.
        """
        head = self.painter.diffusion

        def losses(conditioning: Tensor, part: slice) -> Tensor:
            return noise_prediction_loss(head, latent[part], conditioning, draw.rows(part))

        conditioning = head.condition(condition.word, self.painter.prompt)  # [B, T, W]
        # Without the mean over its elements a loss has gradients that float16 can hold; a power of
        # two changes no other number.
        scale = 2.0 ** round(math.log2(latent[0].numel()))
        return in_chunks(losses, conditioning, self._images_at_once(conditioning), scale)

    def _images_at_once(self, conditioning: Tensor) -> int:
        """Return how many images' losses are computed at once; asked once where not given."""
        settings = self.settings.diffusion
        if settings is not None and settings.images_at_once is not None:
            return settings.images_at_once
        case = len(conditioning), torch.is_grad_enabled()
        if case not in self._fitting:
            self._fitting[case] = images_that_fit(self.painter.diffusion, conditioning)
        return self._fitting[case]

    # --- What the training split fixes -----------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Fill the attribute bases from the training split's annotations."""
        data = getattr(self.trainer, "datamodule", None)
        if stage == "fit" and data is not None:
            annotations = data.annotations("train")
            self.fill_bases(annotations, data.scene_names, data.object_names)
            self.trained_on = {
                "data": Path(data.root).name,
                "licence": getattr(data, "licence", None),
                "images": len(annotations.emotion),
            }

    def fill_bases(
        self, annotations: Annotations, scene_names: list[str], object_names: list[str]
    ) -> None:
        """Compute the attribute bases: text features of all names, and p(emotion | name).

        Source: docs/method.md, "Attribute bases and correlation coefficient".
        """
        fusion, config = self.fusion, self.settings.clip
        fusion.set_names(scene_names, object_names)
        scenes = name_positives(annotations.scene, len(scene_names))  # [N, S]
        for kind, names, template, positives in (
            ("scene", scene_names, config.scene_template, scenes),
            ("object", object_names, config.object_template, annotations.objects),
        ):
            if not names:
                continue
            if self.head is not None:
                words = self.head.prompts.embed_names(names).float()  # [K, W]
                words = fusion.standardised(words.to(fusion.word_mean.device))
                setattr(fusion, f"{kind}_words", words)
            text = self.understanding.backbone.encode_names(names, template)  # [K, E]
            base: AttributeBase = getattr(fusion, f"{kind}_base")
            structure = self.settings.model
            base.fill(
                text.cpu(), annotations.emotion, positives, structure.smoothing, structure.support
            )

    def configure_callbacks(self) -> list[lightning.Callback]:
        """Return the passes over the training split that every fit makes, and its watch."""
        return [LatentPass(), EmotionSpacePass(), FiniteSteps(self.settings.optimizer.skip)]

    # --- Training ------------------------------------------------------------------------------

    @property
    def stage(self) -> Stage:
        """What the present epoch trains."""
        if self.current_epoch < self.settings.understanding_epochs:
            return "understanding"
        return self.last_stage

    @property
    def last_stage(self) -> Stage:
        """What the epochs after ``understanding_epochs`` train."""
        return "refresh" if self.head is None else "joint"

    @property
    def stage_ends(self) -> tuple[int, int]:
        """Optimiser steps at the end of the understanding epochs, and of the fit."""
        total = int(self.trainer.estimated_stepping_batches)  # it also counts the batches
        batches, at_once = self.trainer.num_training_batches, self.trainer.accumulate_grad_batches
        epochs = self.settings.understanding_epochs
        return min(epochs * math.ceil(batches / at_once), total), total

    @property
    def longest_sequence(self) -> int:
        """Tokens of the longest sequence that a training step attends over."""
        positions = len(self.understanding.chain.visual.positional_embedding)
        tokens = positions + 2 * self.settings.model.n_queries
        return tokens if self.head is None else max(tokens, self.head.latent_shape[-1] ** 2)

    def on_fit_start(self) -> None:
        """Compile if the settings say so; keep DDP from sending buffers round at every step.

        They are equal on all ranks already, and ranks may have unequal numbers of validation
        batches: the one with more would wait for the others.
        """
        wrapped = self.trainer.strategy.model
        if isinstance(wrapped, DistributedDataParallel):
            wrapped.broadcast_buffers = False
        self._compile()

    def on_predict_start(self) -> None:
        """Compile the networks if the settings say so."""
        self._compile()

    def _compile(self) -> None:
        if self.settings.compile and self.device.type == "cuda" and not self._compiled:
            folder = compile_networks(self.understanding.chain, self.head)
            self._compiled = True
            if self.trainer.is_global_zero:
                print(f"Compiling: the first steps take minutes; later runs find it in {folder}")

    def _register_trained(self) -> None:
        """Let DDP know the weights that are trained from now on.

        It expects a gradient of every weight that was trained when it was made. The earlier one
        takes its hooks off the weights as soon as nothing refers to it any more.
        """
        strategy = None if self._trainer is None else self.trainer.strategy
        if isinstance(strategy, DDPStrategy) and isinstance(
            strategy.model, DistributedDataParallel
        ):
            strategy.model = self
            gc.collect()
            strategy.configure_ddp()
            self.on_fit_start()

    def on_train_start(self) -> None:
        """Freeze what the stage's rates freeze, also where a fit goes on within an epoch."""
        self.on_train_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Freeze what the stage's rates freeze."""
        rates = getattr(self.settings.optimizer, self.stage)
        before = [parameter.requires_grad for parameter in self.parameters()]
        self.understanding.chain.visual.proj.requires_grad_(False)  # the chain never uses it
        for group, _, parameter in trained_parameters(self):
            parameter.requires_grad_(getattr(rates, group) > 0)
        if before != [parameter.requires_grad for parameter in self.parameters()]:
            self._register_trained()

    def on_train_batch_start(self, batch: Batch, batch_index: int) -> None:
        """Make dropout a function of (seed, epoch, batch, process), so that resuming is exact."""
        where = (self.settings.seed, self.current_epoch, batch_index, self.global_rank)
        torch.manual_seed(hash(where) % 2**32)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return L_U or L_joint of a batch; log every part."""
        if self.settings.optimizer.gradient_checkpointing:
            return self._training_loss(batch)  # what is computed again must take the same kernel
        with training_attention(self.device, self.longest_sequence):
            return self._training_loss(batch)

    def _training_loss(self, batch: Batch) -> Tensor:
        w = self.settings.loss
        output = self.read(batch["clip_image"])
        losses = self.understanding_losses(output, batch)
        total = self.understanding_loss(losses)
        if self.stage == "joint":
            losses |= self.joint_losses(output, batch)
            total = (
                w.understanding * total
                + w.condition * losses["condition"]
                + w.diffusion * losses["theta"]
            )
        elif self.head is not None and w.alignment > 0:
            losses["alignment"] = self.alignment_loss(output, batch)
            total = total + w.alignment * losses["alignment"]
        losses["total"] = total
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.items()})
        self.log("loss", total.detach(), prog_bar=True, logger=False)
        return total

    def configure_optimizers(self) -> Any:
        """Return AdamW over the parameter groups, its rates set per stage and step.

        Raises:
            UserError: If the training has no last epoch.
        """
        if self.trainer.max_epochs == -1:
            raise UserError(
                "training has no last epoch; give trainer.max_epochs (trainer.max_steps may end it "
                "before)"
            )
        rates = self.settings.optimizer
        stages = rates.understanding, getattr(rates, self.last_stage)
        # Under a gradient scaler Lightning clips no gradients for a fused optimiser.
        fused = self.device.type == "cuda" and self.trainer.scaler is None
        optimizer = adamw(parameter_groups(self, rates, stages), fused)
        schedule = stage_schedule(optimizer, stages, rates.warmup, *self.stage_ends)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    # --- Validation, test and prediction ---------------------------------------------------------

    def validation_step(self, batch: Batch, _: int) -> Tensor:
        """Measure accuracy, macro F1 and, once trained, L(theta); return the logits [B, C]."""
        output = self.read(batch["clip_image"])
        self.validation_metrics.update(output.logits, batch["emotion"])
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        untrained = fitting and self.stage != "joint"
        if self.head is not None and not (untrained or self.trainer.testing):
            condition = self.fuse(output, batch["emotion"])
            latent = self.head.encode(batch["diffusion_image"])
            draw = self.noise.draw(batch["index"], epoch=-1)
            losses = self.noise_prediction_losses(condition, latent, draw)
            self.validation_metrics.update_theta(losses)
        return output.logits

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's metrics under ``val/``."""
        self._log_metrics("val")

    def test_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Measure accuracy and macro F1 on the test split; return the logits [B, C]."""
        return self.validation_step(batch, batch_index)

    def on_test_epoch_end(self) -> None:
        """Log the metrics under ``test/``."""
        self._log_metrics("test")

    def _log_metrics(self, split: str) -> None:
        results = self.validation_metrics.compute_and_reset()
        self.log_dict({f"{split}/{name}": value for name, value in results.items()}, prog_bar=True)

    def predict_step(self, request: Request) -> tuple[Tensor, Condition]:
        """Generate the images of a request; see :meth:`Painter.generate`."""
        return self.painter.generate(
            request.emotion,
            request.image_index,
            guidance_scale=request.guidance_scale,
            num_inference_steps=request.num_inference_steps,
        )

    # --- Checkpoints -----------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the names that the attribute bases number, and what the data were."""
        names = {"scene": self.fusion.scene_names, "object": self.fusion.object_names}
        checkpoint["names"] = names
        checkpoint["trained_on"] = self.trained_on

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Give the attribute bases the checkpoint's size.

        Raises:
            UserError: If the emotions or the names are another data set's.
        """
        emotions = Emotions(**checkpoint["hyper_parameters"].get("emotions", {}))
        if emotions.names != self.emotions.names:
            raise UserError(
                f"the checkpoint knows the emotions {emotions}; the data set has {self.emotions}; "
                "use the data set it was trained on, or train anew"
            )
        self.trained_on = checkpoint.get("trained_on", {})
        scenes, objects = checkpoint["names"]["scene"], checkpoint["names"]["object"]
        fusion = self.fusion
        if not fusion.scene_names:
            fusion.set_names(scenes, objects)
        elif (fusion.scene_names, fusion.object_names) != (scenes, objects):
            raise UserError(
                "the checkpoint was trained with other scene or object names than info.json has; "
                "use the data set it was trained on"
            )

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Load a checkpoint's weights, as torch does.

        Raises:
            UserError: If they are of another structure.
        """
        try:
            return super().load_state_dict(*args, **kwargs)
        except RuntimeError as error:
            first = str(error).splitlines()[1].strip()
            raise UserError(
                f"the checkpoint is of a model with other settings ({first}); give its own"
            ) from None

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Take over all that a checkpoint holds of trained weights, bases and emotion space.

        Args:
            checkpoint: From :func:`uniemo.model.checkpoint.read_checkpoint`.

        Raises:
            UserError: If it is of another structure.
        """
        self.on_load_checkpoint(checkpoint)
        self.load_state_dict(checkpoint["state_dict"])
