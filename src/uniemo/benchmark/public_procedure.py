"""The public procedure as plain loops, as its code is known to proceed (docs/method.md).

None of its lines is here: these loops take the same steps on the same networks, so that both sides
can be timed in one run. Attention is PyTorch's own, nothing is compiled.

Legend: B images, W width of the text encoder, V tokens of its vocabulary.
"""

import itertools
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, UniPCMultistepScheduler
from torch import Tensor, nn

from uniemo.batch import Batch
from uniemo.diffusion import NoiseDraw, noise_prediction_loss
from uniemo.fusion import emotional_condition_loss
from uniemo.model import UniEmo
from uniemo.model.optimizer import trained_parameters
from uniemo.understanding.attention import PackedSelfAttention

STAND_IN = 0  # the token id whose embedding becomes the pseudo-word


class PublicProcedure:
    """Steps of ``train_vit.py``, ``fine_tune.py`` and ``inference.py`` on a model of this package.

    Args:
        model: It is changed: give one of its own.
        dtype: Of autocast; with float16 a gradient scaler is used, as published.
    """

    def __init__(self, model: UniEmo, dtype: torch.dtype) -> None:
        self.model, self.head, self.dtype = model, model.painter.diffusion, dtype
        for module in model.modules():
            if isinstance(module, PackedSelfAttention):
                module.__class__ = nn.MultiheadAttention  # type: ignore[assignment]
        self.head.unet.requires_grad_(True)  # its weights' gradients are computed for nothing
        embedding: Any = self.head.text_encoder.get_input_embeddings()
        self.table: Tensor = embedding.weight  # [V, W]
        self.table.requires_grad_(True)
        weights = [parameter for *_, parameter in trained_parameters(model)]
        self.optimizer = torch.optim.AdamW(weights, lr=1e-6, foreach=False)
        kind = self.head.device.type
        self.scaler = torch.amp.GradScaler(kind, enabled=dtype == torch.float16)
        self.row = itertools.count()

    def autocast(self) -> torch.autocast:
        """Return the mixed precision of a step."""
        return torch.autocast(self.head.device.type, self.dtype, self.dtype != torch.float32)

    def understand(self, batch: Batch) -> None:
        """Train one batch on L_U."""
        self._freeze(visual=False)
        with self.autocast():
            output = self.model.read(batch["clip_image"])
            losses = self.model.understanding_losses(output, batch)
            total = self.model.understanding_loss(losses)
        self.scaler.scale(total).backward()
        self._step()

    def joint(self, batch: Batch) -> None:
        """Train the next image of a batch jointly: batch size 1, a hook, two backward passes."""
        self._freeze(visual=True)
        tensors: Any = batch
        number = next(self.row) % len(batch["emotion"])
        one: Any = {name: value[number : number + 1] for name, value in tensors.items()}
        with self.autocast():
            # 1. The image is encoded at every step, its noise drawn where it is needed.
            latent = self.head.encode(one["diffusion_image"])
            noise, steps = torch.randn_like(latent), self.head.scheduler.config.num_train_timesteps
            draw = NoiseDraw(noise, torch.randint(steps, (1,), device=latent.device))
            # 2. The pseudo-word is written into the table of embeddings, which cuts its graph.
            output = self.model.read(one["clip_image"])
            losses = self.model.understanding_losses(output, one)
            condition = self.model.fuse(output, one["emotion"])
            self.table.data[STAND_IN] = condition.word[0].detach()
            ids = self.head.prompts.tokenize(self.model.painter.prompt).ids[None]
            states = self.head.text_encoder(ids).last_hidden_state
            theta = noise_prediction_loss(self.head, latent, states, draw).mean()
            standardised = self.model.fusion.standardised(condition.word)
            read = self.model.understanding.emotion_head.read(standardised)
            cond = emotional_condition_loss(read, one["emotion"], output.logits)
            w = self.model.settings.loss
            total = (
                w.understanding * self.model.understanding_loss(losses)
                + w.condition * cond
                + w.diffusion * theta
            )
        # 3. A hook adds the table's gradient to the word's, in a second backward pass of zeros.
        self.scaler.scale(total).backward(retain_graph=True)
        assert self.table.grad is not None
        gradient = self.table.grad[STAND_IN]
        condition.word.register_hook(lambda own: own + gradient)
        self.scaler.scale(0 * condition.word.mean()).backward()
        self._step()

    def _freeze(self, visual: bool) -> None:
        self.model.understanding.chain.visual.requires_grad_(not visual)

    def _step(self) -> None:
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.model.zero_grad()
        self.table.grad = None

    def pipeline(self) -> StableDiffusionPipeline:
        """Return diffusers' own pipeline on the model's Stable Diffusion."""
        head = self.head
        made = StableDiffusionPipeline(
            vae=head.vae,
            text_encoder=head.text_encoder,
            tokenizer=head.prompts.tokenizer,
            unet=head.unet,
            scheduler=UniPCMultistepScheduler.from_config(head.scheduler.config),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        made.set_progress_bar_config(disable=True)
        return made

    @torch.no_grad()
    def generate(self, pipeline: StableDiffusionPipeline, states: Tensor) -> None:
        """Generate the image of one condition [1, T, W], in the precision of the weights."""
        sampling = self.model.painter.sampling
        pipeline(
            prompt_embeds=states,
            negative_prompt_embeds=self.head.prompts.encode([""]),
            num_inference_steps=sampling.num_inference_steps,
            guidance_scale=sampling.guidance_scale,
            output_type="pt",
        )
