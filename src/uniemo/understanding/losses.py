"""The parts of L_U = 0.05 L_S + 0.05 L_O + 0.9 L_Cls; the model sums them.

Source: docs/method.md, "Losses of understanding".

Legend: B images (of all processes, where gathered), K names, E width of CLIP's joint space,
C emotions.
"""

import math

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_gather
from torch.nn import functional as F

from uniemo.utils.processes import is_distributed

LOGIT_SCALE_START = 1 / 0.07
LOGIT_SCALE_MAX = 100.0


class LogitScale(nn.Module):
    """A learnt inverse temperature: starts at 1 / 0.07, never above 100, as CLIP's."""

    def __init__(self) -> None:
        super().__init__()
        self.logarithm = nn.Parameter(torch.tensor(math.log(LOGIT_SCALE_START)))

    def forward(self) -> Tensor:
        """Return the scale that multiplies cosines: a scalar in (0, 100]."""
        # Clamp the weight, not the result: beyond the limit the latter would have no gradient left.
        with torch.no_grad():
            self.logarithm.clamp_(max=math.log(LOGIT_SCALE_MAX))
        return self.logarithm.exp()


def attribute_contrastive_loss(
    projected: Tensor,
    text_features: Tensor,
    positives: Tensor,
    logit_scale: Tensor,
    weight: Tensor | None = None,
) -> Tensor:
    """L_S or L_O: symmetric InfoNCE between images and the names of one attribute.

    The negatives of an image are the names present in the batch that it does not have; those of a
    name are the annotated images that do not have it. A pair is never contrasted with another
    positive of its image or its name: images of one name are not each other's negatives, and an
    image may have several names (both extensions). Every annotated image weighs the same, shared
    equally among its names. If each image has one name and no two the same, this is CLIP's loss.

    Args:
        projected: [B, E] projections of fs or fo, unit length.
        text_features: [K, E] text features of all names, unit length.
        positives: [B, K] bool, the names each image has; an image without one takes no part.
        logit_scale: Scalar that multiplies the cosines.
        weight: [B] weight of each image, as in :func:`emotion_classification_loss`.

    Returns:
        The mean over annotated images; 0, with a graph, if there is none.
    """
    with torch.autocast(projected.device.type, enabled=False):  # half would round logits to 0.25
        logits = logit_scale * projected.float() @ text_features.float().T  # [B, K]
    annotated = positives.any(dim=1, keepdim=True)  # [B, 1]
    present = positives.any(dim=0, keepdim=True)  # [1, K]
    # The lowest finite number, not -inf: a pair may have no negative at all.
    others = logits.masked_fill(positives | ~annotated | ~present, torch.finfo(logits.dtype).min)
    # -log(e^l / (e^l + sum over negatives of e^n)) = softplus(logsumexp(n) - l)
    image_to_name = F.softplus(others.logsumexp(dim=1, keepdim=True) - logits)  # [B, K]
    name_to_image = F.softplus(others.logsumexp(dim=0, keepdim=True) - logits)  # [B, K]
    n_names = positives.sum(dim=1, keepdim=True).clamp(min=1)  # [B, 1]
    share = positives / n_names  # [B, K], a row sums to 1, or 0 if not annotated
    if weight is not None:
        share = share * weight[:, None]
    total = (share * (image_to_name + name_to_image)).sum() / 2
    return total / annotated.sum().clamp(min=1)


def emotion_classification_loss(
    logits: Tensor, emotion: Tensor, weight: Tensor | None = None
) -> Tensor:
    """L_Cls: cross-entropy, mean over the batch.

    Args:
        logits: [B, C] of the emotion head.
        emotion: [B] long, the true label; or [B, C] float, the share of each emotion in the votes.
        weight: [B] weight of each image (extension: generated images may count less). The sum is
            divided by B, not by the sum of weights, so that a batch is the mean of its images.
    """
    losses = F.cross_entropy(logits.float(), emotion, reduction="none")  # [B]
    return (losses if weight is None else weight * losses).mean()


def name_positives(name: Tensor, n_names: int) -> Tensor:
    """Turn one optional name per image, [B] long with -1 for none, into positives [B, K] bool."""
    return name.unsqueeze(1) == torch.arange(n_names, device=name.device)


def gather(tensor: Tensor) -> Tensor:
    """Join a tensor [b, ...] of every process, in rank order, into [B, ...]; gradients flow back.

    Without a process group it is the identity. All processes must have the same b. The backward
    pass sums over processes, so a loss that every process computes on the gathered batch, averaged
    by DDP, has the gradient of one process with the whole batch.
    """
    if not is_distributed():
        return tensor
    if tensor.requires_grad:
        return torch.cat(all_gather(tensor))
    parts = [torch.empty_like(tensor) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)
