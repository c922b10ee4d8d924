"""Emotional condition loss L_cond (METHOD, "Emotional condition loss"), and name alignment (ours).

Legend: B images, C emotions, K names, W width of the text encoder's token embeddings.
"""

from torch import Tensor
from torch.nn import functional as F

MARGIN = 0.5


def emotional_condition_loss(
    condition_logits: Tensor, emotion: Tensor, own_logits: Tensor, margin: float = MARGIN
) -> Tensor:
    """L_cond = CE(logits(c), y) + max(0, margin + cos(logits(c), onehot(w)) - cos(.., onehot(y))).

    w is the hardest wrong class: the one that the image's own prediction ranks highest beside y.

    Args:
        condition_logits: [B, C], the emotion head's last layer reading the condition c.
        emotion: [B] long, y.
        own_logits: [B, C], the emotion head's logits of the image itself; they get no gradient.
        margin: Difference of cosines beyond which the triplet term is content.

    Returns:
        The mean over the batch.
    """
    condition_logits = condition_logits.float()
    label = emotion.unsqueeze(1)  # [B, 1]
    wrong = own_logits.detach().float().scatter(1, label, -float("inf")).argmax(1, keepdim=True)
    cosine = F.normalize(condition_logits, dim=1)  # [B, C], the cosine with each one-hot vector
    triplet = F.relu(margin + cosine.gather(1, wrong) - cosine.gather(1, label)).mean()
    return F.cross_entropy(condition_logits, emotion) + triplet


def name_alignment_loss(mapped: Tensor, embeddings: Tensor, positives: Tensor) -> Tensor:
    """Mean squared distance of mapped features to the words of the image's own names (ours).

    L(theta) tells the mappers where words lie only through the frozen denoiser, whose gradient is
    mostly noise. Real words are a better place to start from.

    Args:
        mapped: [B, W], a scene's or an object's features after their mapper.
        embeddings: [K, W], the names' words in the mappers' scale.
        positives: [B, K] bool, the names of each image; images without any are left out.

    Returns:
        The mean over the images that have names; 0 if none has.
    """
    count = positives.sum(dim=1)  # [B]
    target = positives.to(embeddings) @ embeddings / count.clamp(min=1).unsqueeze(1)  # [B, W]
    error = (mapped - target).square().mean(dim=1) * (count > 0)  # [B]
    return error.sum() / (count > 0).sum().clamp(min=1)
