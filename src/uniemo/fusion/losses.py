"""L_cond (docs/method.md, "Condition loss"), and alignment to words (extension).

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


def words_of_names(embeddings: Tensor, positives: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean word of each image's names [B, W], and which images have any [B] bool.

    Args:
        embeddings: [K, W], the names' words in the mappers' scale.
        positives: [B, K] bool, the names of each image.
    """
    count = positives.sum(dim=1, keepdim=True)  # [B, 1]
    return positives.to(embeddings) @ embeddings / count.clamp(min=1), count[:, 0] > 0


def word_alignment_loss(mapped: Tensor, word: Tensor, known: Tensor) -> Tensor:
    """Mean squared distance of mapped features to the words that they should express (extension).

    L(theta) tells the mappers where words lie only through the frozen denoiser, whose gradient is
    mostly noise. Real words are a better place to start from.

    Args:
        mapped: [B, W], in the mappers' scale.
        word: [B, W] likewise.
        known: [B] bool; the other images are left out.

    Returns:
        The mean over the known; 0, with a graph, if none is.
    """
    error = (mapped - word).square().mean(dim=1) * known  # [B]
    return error.sum() / known.sum().clamp(min=1)
