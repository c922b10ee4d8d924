"""The published scripts' metrics against a few lines that do the same with Pillow and transformers.

Images of 64 x 64 stand for generated ones; networks are small, with random weights.
"""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.linalg import sqrtm
from torchmetrics.functional.image.lpips import _LPIPS
from torchvision import transforms
from transformers import CLIPImageProcessor

from uniemo.config.evaluation import EvaluationConfig
from uniemo.evaluation.build_networks import EvaluationNetworks
from uniemo.evaluation.published_metrics import PublishedMetrics, as_published
from uniemo.metrics import LPIPSEmbedding
from uniemo.vision.images import GeneratedBatch
from uniemo.vision.networks import CLIPNetwork, ImageNetwork, LPIPSNetwork, ResNetNetwork

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PER_EMOTION = 3


class Pooled(torch.nn.Module):
    """Means over a grid of an image: [B, 3 n^2], n = ``grid``."""

    def __init__(self, grid: int) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(image, self.grid).flatten(1)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Bytes [24, 64, 64, 3] of smooth images, as generated ones are."""
    noise = torch.rand(24, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(noise, (64, 64), mode="bicubic").clamp(0, 1)
    return (smooth * 255).round().byte().permute(0, 2, 3, 1).numpy()


@pytest.fixture(scope="module")
def networks() -> EvaluationNetworks:
    torch.manual_seed(0)
    lpips = LPIPSNetwork.__new__(LPIPSNetwork)
    own = _LPIPS(pretrained=False, net="alex", pnet_rand=True)
    for layer in own.lins:  # learnt weights are never negative
        layer.model[-1].weight.data.abs_()
    half = (0.5, 0.5, 0.5)
    ImageNetwork.__init__(lpips, LPIPSEmbedding(own), "lpips", 0, 256, half, half)
    lpips.width = 1  # of another size of image
    plain = ImageNetwork(Pooled(2), "distances", 12, 299, (0.0,) * 3, (1.0,) * 3)
    clip = CLIPNetwork(Pooled(3), "semantic", 27, 224, CLIP_MEAN, CLIP_STD)
    resnets = tuple(ResNetNetwork(Pooled(k), "clarity", 3 * k * k, 224, *IMAGENET) for k in (2, 3))
    return EvaluationNetworks(plain, "judge", plain, clip, lpips, resnets)


@pytest.fixture(scope="module")
def reference() -> torch.Tensor:
    return torch.rand(40, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def measured(pixels, networks, reference) -> PublishedMetrics:
    metrics = PublishedMetrics(
        networks, reference, torch.full((8,), PER_EMOTION), torch.device("cpu")
    )
    image = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    emotion = torch.arange(8).repeat_interleave(PER_EMOTION)
    index = torch.arange(PER_EMOTION).repeat(8)
    for part in torch.randperm(24, generator=torch.Generator().manual_seed(2)).split(7):
        metrics.update(GeneratedBatch(image[part], emotion[part], index[part]))
    return metrics


def test_fid_is_of_squashed_images(measured, pixels, reference):
    squash = transforms.Compose([transforms.Resize((299, 299)), transforms.ToTensor()])
    images = torch.stack([squash(Image.fromarray(each)) for each in pixels])
    x, y = reference.double().numpy(), Pooled(2)(images).double().numpy()
    a, b = np.cov(x.T), np.cov(y.T)
    means = np.square(x.mean(0) - y.mean(0)).sum()
    expected = means + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert measured.compute()["fid"] == pytest.approx(expected, rel=1e-3)


def test_sem_d_divides_twice_by_255(measured, pixels):
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    inputs = CLIPImageProcessor()(images=list(images), return_tensors="pt").pixel_values
    assert inputs.std((0, 2, 3)).max() < 0.01  # nearly black
    features = Pooled(3)(inputs).double()
    expected = [
        (features[i] - features[j]).square().mean().item()
        for i, j in measured.pairs.flatten(0, 1).tolist()
    ]
    assert measured.compute()["sem_d"] == pytest.approx(np.mean(expected), rel=1e-2)


def test_lpips_reads_unshifted_images_in_their_own_size(measured, pixels, networks):
    own = networks.perceptual.network.lpips
    image = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = [
            own(image[i : i + 1], image[j : j + 1]).item()
            for i, j in measured.pairs.flatten(0, 1).tolist()
        ]
    assert measured.compute()["diversity"] == pytest.approx(np.mean(expected), rel=1e-4)


def test_sem_c_is_of_central_crops(measured, pixels):
    read = transforms.Compose(
        [
            transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
            transforms.Normalize(*IMAGENET),
        ]
    )  # fmt: skip
    images = torch.stack([read(Image.fromarray(each)) for each in pixels])
    objects, scenes = (Pooled(k)(images).softmax(1).amax(1) for k in (2, 3))
    expected = torch.maximum(objects, scenes).mean().item()
    assert measured.compute()["sem_c"] == pytest.approx(expected, rel=1e-3)


def test_pairs_mix_emotions(measured):
    for emotion, pairs in enumerate(measured.pairs.tolist()):
        assert all(max(pair) < (emotion + 1) * PER_EMOTION for pair in pairs)
    assert any(i // PER_EMOTION != j // PER_EMOTION for i, j in itertools.chain(*measured.pairs))


def test_a_measure_is_published_only_with_network_and_protocol():
    published = EvaluationConfig(
        judge="clip_vit_l14", emotion_weights="x", fid_features="inception", diversity="lpips",
        clarity="resnet50", semantic="clip_vit_l14",
    )  # fmt: skip
    assert as_published(EvaluationConfig(), "published") == []
    assert as_published(published, "default") == ["emo_a"]
    expected = {"emo_a", "fid", "diversity", "sem_c", "sem_d"}
    assert set(as_published(published, "published")) == expected
