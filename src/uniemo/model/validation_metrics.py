"""What is measured of a split while a model is validated or tested."""

from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score


class ValidationMetrics(nn.Module):
    """Accuracy, macro F1 and mean losses over the batches of all processes.

    Legend: B images of a batch, C emotions.

    Args:
        n_emotions: C.
    """

    def __init__(self, n_emotions: int) -> None:
        super().__init__()
        self.classification = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(n_emotions, average="micro"),
                "f1_macro": MulticlassF1Score(n_emotions, average="macro"),
            }
        )
        self.emotion_loss, self.theta_loss = MeanMetric(), MeanMetric()

    def update(self, logits: Tensor, emotion: Tensor) -> None:
        """Take in the emotion logits [B, C] of a batch and its labels [B]."""
        self.classification.update(logits, emotion)
        self.emotion_loss.update(F.cross_entropy(logits.float(), emotion), len(emotion))

    def update_theta(self, losses: Tensor) -> None:
        """Take in L(theta) of each image of a batch [B]."""
        self.theta_loss.update(losses)

    def compute_and_reset(self) -> dict[str, Tensor]:
        """Return what was measured since the last time, by name, and start anew."""
        results: dict[str, Tensor] = dict(self.classification.compute())
        self.classification.reset()
        for name, metric in (("loss", self.emotion_loss), ("theta", self.theta_loss)):
            if metric.update_called:
                results[name] = metric.compute()
            metric.reset()
        return {name: value.float() for name, value in results.items()}
