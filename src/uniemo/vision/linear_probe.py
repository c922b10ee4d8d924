"""Linear probes: multinomial logistic regression on frozen features.

Legend: B, N images, F feature width, K classes, V validation images.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PENALTIES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4)
"""L2 penalties tried, from strong to weak, on weights of standardised features."""

STEPS = 40  # of L-BFGS per penalty; each starts from the stronger one's weights


class LinearProbe(nn.Module):
    """Features to logits.

    Args:
        weight: [K, F].
        bias: [K].
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits [B, K] of features [B, F]."""
        return F.linear(features.to(self.weight), self.weight, self.bias)


def fit_linear_probe(
    features: Tensor,
    labels: Tensor,
    n_classes: int,
    validation: tuple[Tensor, Tensor] | None = None,
) -> LinearProbe:
    """Fit a linear classifier; the L2 penalty is the one with the best validation likelihood.

    The likelihood, not the accuracy, because Sem-C reads the probabilities.
    scikit-learn's LogisticRegression takes a third of the time (8,000 x 1,280 features), but its
    probabilities differ by up to 0.17, since neither converges, and so would all earlier results.

    Args:
        features: [N, F] float, on any device.
        labels: [N] long in [0, K). An image with several labels comes once for each.
        n_classes: K.
        validation: Features [V, F] and labels [V] that choose the penalty; None for every eighth
            row.

    Raises:
        ValueError: If there are fewer than two rows, or a label is out of range.
    """
    if len(features) != len(labels) or len(labels) < 2:
        raise ValueError(
            f"{len(features)} features and {len(labels)} labels; give at least 2, a label for each"
        )
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"labels must lie in [0, {n_classes}); leave out images without one")
    if validation is None:
        aside = torch.arange(len(labels), device=features.device) % 8 == 7
        if not aside.any():
            aside[-1] = True
        validation = features[aside], labels[aside]
        features, labels = features[~aside], labels[~aside]
    features, labels = features.float(), labels.to(features.device)
    mean, deviation = features.mean(dim=0), features.std(dim=0, correction=0)
    # A constant feature carries no information; dividing by 1 leaves it 0.
    deviation = torch.where(deviation > 1e-6, deviation, 1.0)
    x = (features - mean) / deviation  # [N, F]
    held_out = (validation[0].to(x) - mean) / deviation  # [V, F]
    held_out_labels = validation[1].to(labels)

    weight = torch.zeros(n_classes, x.shape[1], device=x.device, requires_grad=True)
    bias = torch.zeros(n_classes, device=x.device, requires_grad=True)
    best, best_loss = (weight.detach(), bias.detach()), float("inf")
    for penalty in PENALTIES:
        _minimize(weight, bias, x, labels, penalty)
        with torch.no_grad():
            loss = F.cross_entropy(F.linear(held_out, weight, bias), held_out_labels).item()
        if loss > best_loss:
            break
        best, best_loss = (weight.detach().clone(), bias.detach().clone()), loss
    scaled = best[0] / deviation  # [K, F]
    return LinearProbe(scaled, best[1] - scaled @ mean)


@torch.enable_grad()
def _minimize(weight: Tensor, bias: Tensor, x: Tensor, labels: Tensor, penalty: float) -> None:
    """Minimise cross-entropy + penalty / 2 ||W||^2 in place, by L-BFGS."""
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(x, weight, bias), labels)
        loss = loss + penalty / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
