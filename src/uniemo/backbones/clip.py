"""The small CLIP: an open_clip model with ViT-L/14's structure, trained by contrast only."""

import json
import math
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTokenizer

from data_modules.emoscenes import OBJECT_NAMES, SCENE_NAMES, words
from uniemo.backbones.captions import CAPTIONS, CONTEXT_LENGTH
from uniemo.backbones.composed_images import SIZE, ObjectSettings
from uniemo.backbones.stage import Stage
from uniemo.utils.files import write_tensors

MEAN = open_clip.OPENAI_DATASET_MEAN
STD = open_clip.OPENAI_DATASET_STD

PATCH_DROPOUT = 0.5
"""Share of patches left out over the first 80 % of the steps (FLIP, arXiv 2212.00794): twice as
many images in the same time. The last steps use whole images, as inference does."""


def model_config(vocabulary: int) -> dict[str, Any]:
    """Return open_clip's model configuration: 6 layers, in three equal stages, of width 192."""
    return {
        "embed_dim": 192,
        "vision_cfg": {
            "image_size": SIZE,
            "patch_size": 8,
            "width": 192,
            "head_width": 64,
            "layers": 6,
        },
        "text_cfg": {
            "context_length": CONTEXT_LENGTH,
            "vocab_size": vocabulary,
            "width": 192,
            "heads": 3,
            "layers": 4,
            "hf_tokenizer_name": "the files beside this one",
        },
    }


class ClipStage(Stage):
    """Contrastive pretraining on three captions of every image: object, scene, and both.

    The image tower, nine tenths of the cost, runs once for all three. Images of the same caption
    are not each other's negatives: the loss ranges over the batch's different captions.
    """

    object_settings = ObjectSettings(large=0.4)

    mean: Tensor
    std: Tensor
    object_tokens: Tensor
    name_tokens: Tensor
    scene_tokens: Tensor
    pair_tokens: Tensor

    def __init__(self, tokenizer: CLIPTokenizer, **arguments: Any) -> None:
        super().__init__(**arguments)
        config = model_config(len(tokenizer))
        config["vision_cfg"]["patch_dropout"] = PATCH_DROPOUT
        self.clip = open_clip.CLIP(**config)
        self.tokenizer = tokenizer
        for kind, texts in (CAPTIONS | {"name": list(map(words, OBJECT_NAMES))}).items():
            tokens = tokenizer(texts, padding="max_length", return_tensors="pt").input_ids
            self.register_buffer(f"{kind}_tokens", tokens, persistent=False)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None] * 255, persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None] * 255, persistent=False)

    def encode(self, image: Tensor) -> Tensor:
        """Return unit image features [B, 192] of uint8 images [B, 3, 64, 64]."""
        return self.clip.encode_image((image.float() - self.mean) / self.std, normalize=True)

    def contrast(self, image: Tensor, caption: Tensor, tokens: Tensor) -> Tensor:
        """Return the symmetric contrastive loss over the batch's different captions.

        Args:
            image: Unit features [B, E].
            caption: Index of each image's caption [B] in ``tokens``, -1 for none.
            tokens: All captions of this kind [K, T].
        """
        has = caption >= 0
        image = image[has]
        present, target = caption[has].unique(return_inverse=True)
        text = self.clip.encode_text(tokens[present], normalize=True)  # [U, E]
        with torch.autocast(image.device.type, enabled=False):  # half would round logits to 0.25
            logits = self.clip.logit_scale.exp() * image.float() @ text.float().T  # [B', U]
        to_text = functional.cross_entropy(logits, target)
        own = functional.one_hot(target, len(present)).bool()
        others = logits.masked_fill(own, -torch.inf).logsumexp(0)  # [U]
        mine = logits.gather(1, target[:, None])[:, 0]
        to_image = (torch.logaddexp(mine, others[target]) - mine).mean()
        return (to_text + to_image) / 2

    def on_train_batch_start(self, *_: Any) -> None:
        """Set the share of patches left out."""
        super().on_train_batch_start()
        self.clip.visual.patch_dropout.prob = PATCH_DROPOUT if self.share_done < 0.8 else 0.0

    def loss(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        """Return the weighted sum of the three contrasts; objects, the hardest, count twice."""
        image = self.encode(batch["image"])
        scene, object_ = batch["scene"], batch["object"]
        both = torch.where((scene >= 0) & (object_ >= 0), object_ * len(SCENE_NAMES) + scene, -1)
        # "a lion" and "lion" in turn
        object_tokens = self.name_tokens if batch_index % 2 else self.object_tokens
        losses = {
            "object": self.contrast(image, object_, object_tokens),
            "scene": self.contrast(image, scene, self.scene_tokens),
            "pair": self.contrast(image, both, self.pair_tokens),
        }
        self.log_dict(losses, prog_bar=True)
        return 2 * losses["object"] + losses["scene"] + losses["pair"]

    def on_before_zero_grad(self, _: torch.optim.Optimizer) -> None:
        """Keep the temperature in CLIP's bounds."""
        with torch.no_grad():
            self.clip.logit_scale.clamp_(max=math.log(100))

    def save(self, weights: Path) -> None:
        """Write ``weights/clip``, a folder for open_clip's ``local-dir:``, in half precision."""
        folder = weights / "clip"
        self.tokenizer.save_pretrained(folder)
        config = {
            "model_cfg": model_config(len(self.tokenizer)),
            "preprocess_cfg": {"mean": MEAN, "std": STD, "interpolation": "bicubic"},
        }
        (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
        state = self.clip.state_dict().items()
        halves = {name: value.half() for name, value in state if value.is_floating_point()}
        write_tensors(folder / "open_clip_model.safetensors", halves)
