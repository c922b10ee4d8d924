"""Emotional condition loss L_cond (METHOD, "Emotional condition loss").

Legend: B images, C emotions.
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
