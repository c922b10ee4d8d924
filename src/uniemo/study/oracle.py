"""What a data set that knows its own posteriors says of generated images.

Legend: K names, N images of a pool, C emotions, E width of CLIP's image features.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from uniemo.evaluation.understanding_metrics import read_composed_annotations
from uniemo.filtering import Selection
from uniemo.study.pools import CandidatePool
from uniemo.utils.emoset_files import read_split
from uniemo.utils.files import read_json


def shown_posterior(pool: CandidatePool, selection: Selection) -> Tensor | None:
    """Return p(emotion | scene and object that an image shows) of what a filter kept [kept, C].

    Frozen CLIP names scene and object. p(emotion | name) is the mean posterior of all training
    images that were composed with the name, also of those that the trial does not train on; scene
    and object are independent given the emotion, so that the product of both over p(emotion) is
    exact up to the names and the sample.

    None where the data set has no posteriors.
    """
    data = pool.data
    composed = read_composed_annotations(data, "train")
    if composed is None:
        return None
    root = Path(data.root).expanduser()
    drawn = [read_json(root / row.annotation) for row in read_split(root, "train", data.emotions)]
    features = F.normalize(pool.encoded.candidates.features[selection.kept].float(), dim=1)
    fusion, posterior = pool.module.fusion, composed.posterior.double()
    logits = -posterior.mean(0).log()  # [C]
    for kind, names, text in (
        ("scene", data.scene_names, fusion.scene_base.text_features),
        ("object", data.object_names, fusion.object_base.text_features),
    ):
        table = mean_posterior([each[f"drawn_{kind}"] for each in drawn], names, posterior)
        nearest = (features @ text.cpu().float().T).argmax(1)  # [N]
        logits = logits + table[nearest].log()  # [N, C]
    return logits.softmax(1).float()


def mean_posterior(drawn: Sequence[str | None], names: Sequence[str], posterior: Tensor) -> Tensor:
    """Return the mean posterior of the images of every name [K, C].

    The mean of all images counts as one image of each name.

    Args:
        drawn: The name on every image, or None.
        names: K names.
        posterior: Of every image [N, C].
    """
    number = {name: row for row, name in enumerate(names)}
    total = posterior.mean(0).repeat(len(names), 1)  # [K, C]
    count = torch.ones(len(names), 1, dtype=posterior.dtype)
    for name, own in zip(drawn, posterior, strict=True):
        if name in number:
            total[number[name]] += own
            count[number[name]] += 1
    return total / count
