"""Judges: linear probes for emotion, scene and object on a frozen network not trained here.

A judge is fitted on real training images and on their reconstructions by the VAE of the evaluated
system, because a judge fitted on real images alone misclassifies decoded ones (extension). No
generated image and no weight that this project trained takes part.

Legend: B, n images, F feature width, S scene and O object names, C emotions.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from uniemo.emotions import N_EMOTIONS
from uniemo.errors import UserError
from uniemo.utils.files import write_tensors
from uniemo.utils.fingerprints import fingerprint
from uniemo.utils.sources import resolve
from uniemo.vision.features import FeatureTable
from uniemo.vision.linear_probe import LinearProbe, fit_linear_probe
from uniemo.vision.networks import ImageNetwork, efficientnet_lite0, read_weights

SHIPPED = "package:evaluation/judge.safetensors"
"""The probe of emotions of the embedded default's judge, as ``uniemo export judge`` writes it."""


class Prediction(NamedTuple):
    """A judge's predictions for B images."""

    emotion: Tensor  # logits [B, C]
    scene: Tensor | None  # probabilities [B, S]; None if the data have no scenes
    objects: Tensor | None  # probabilities [B, O]; None if the data have no objects


class Judge(nn.Module):
    """A frozen network with linear probes; None where the data have no scenes or objects."""

    def __init__(
        self,
        network: ImageNetwork,
        emotion: LinearProbe,
        scene: LinearProbe | None = None,
        objects: LinearProbe | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.emotion = emotion
        self.scene = scene
        self.objects = objects

    def predict(self, features: Tensor) -> Prediction:
        """Return predictions for features [B, F]."""
        return Prediction(
            self.emotion(features),
            None if self.scene is None else self.scene(features).softmax(dim=1),
            None if self.objects is None else self.objects(features).softmax(dim=1),
        )

    def forward(self, image: Tensor) -> Prediction:
        """Return predictions for images [B, 3, H, H], in [0, 1] or uint8."""
        return self.predict(self.network(image))


def fit_judge(
    network: ImageNetwork,
    training: FeatureTable,
    validation: FeatureTable,
    n_emotions: int,
    n_scenes: int,
    cache: Path,
    emotion: LinearProbe | None = None,
) -> Judge:
    """Fit a judge's probes, or read those fitted before on the same features.

    Args:
        network: The network that made the features.
        training: Real training images, and reconstructed ones if there are any.
        validation: The same of the validation split, to choose the penalty.
        n_emotions: C.
        n_scenes: S.
        cache: Folder of the probes.
        emotion: A probe of the emotion to use instead (EmoGen's published one).
    """
    name = fingerprint(network.fingerprint, f"{n_emotions} {n_scenes}", *training, *validation)
    path = cache / f"probes-{name}.safetensors"
    if path.is_file():
        tensors = load_file(path)
        names = {key.partition(".")[0] for key in tensors}
        probes = {n: LinearProbe(tensors[f"{n}.weight"], tensors[f"{n}.bias"]) for n in names}
    else:
        probes = _fit_probes(training, validation, n_emotions, n_scenes, network.mean.device)
        write_tensors(path, nn.ModuleDict(probes).state_dict())
    if emotion is not None:
        probes["emotion"] = emotion
    return Judge(network, **probes).to(network.mean.device)


def shipped_judge() -> Judge | None:
    """Return the embedded default's judge of emotions; None if it does not come along."""
    path = Path(resolve(SHIPPED))
    if not path.is_file():
        return None
    return Judge(efficientnet_lite0(), LinearProbe(**load_file(path)))


def _fit_probes(
    training: FeatureTable,
    validation: FeatureTable,
    n_emotions: int,
    n_scenes: int,
    device: torch.device,
) -> dict[str, LinearProbe]:
    """Fit a probe for each attribute that images of both splits have."""
    sizes = {"emotion": n_emotions, "scene": n_scenes, "objects": training.objects.shape[1]}
    probes = {}
    for name, n_classes in sizes.items():
        row, label = _labelled(training, name)
        held_out, held_out_label = _labelled(validation, name)
        if len(row) > 1 and len(held_out) > 0:
            chosen_by = validation.features[held_out], held_out_label
            features = training.features[row].to(device)
            probes[name] = fit_linear_probe(features, label, n_classes, chosen_by)
    return probes


def _labelled(table: FeatureTable, name: str) -> tuple[Tensor, Tensor]:
    """Return rows and labels of one attribute, [n] each; an image comes once per object."""
    if name == "objects":
        row, label = table.objects.nonzero(as_tuple=True)
        return row, label
    label = table.emotion if name == "emotion" else table.scene
    row = (label >= 0).nonzero()[:, 0]
    return row, label[row]


def published_emotion_probe(path: str, width: int = 768) -> LinearProbe:
    """Read EmoGen's published classifier, one ``Linear(768, 8)`` on CLIP ViT-L/14's features.

    The state dict must hold one matrix [8, F = ``width``] and one vector [8]. Its rows are taken in
    the order of :data:`uniemo.emotions.EMOTIONS`.

    Raises:
        UserError: If the file is missing or holds something else.
    """
    if not Path(path).expanduser().is_file():
        raise UserError(f"emotion weights {path} do not exist; give EmoGen's Linear(768, 8)")
    tensors = list(read_weights(path).values())
    weight = [t for t in tensors if t.shape == (N_EMOTIONS, width)]
    bias = [t for t in tensors if t.shape == (N_EMOTIONS,)]
    if len(weight) != 1 or len(bias) != 1:
        raise UserError(f"{path} holds no Linear({width}, {N_EMOTIONS}); give EmoGen's")
    return LinearProbe(weight[0].float(), bias[0].float())
