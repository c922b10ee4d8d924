"""Small pools of candidates with a known structure."""

import torch

from uniemo.filtering import Candidates, Reference


def clustered_pool(
    seed: int = 0, n: int = 60, n_real: int = 60, n_emotions: int = 2, width: int = 6
) -> tuple[Candidates, Reference]:
    """Return modes per emotion, with some exact copies, near copies and wrong emotions."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    def draw(limit: int, size: int) -> torch.Tensor:
        return torch.randint(limit, (size,), generator=generator)

    modes = 2 * normal(n_emotions, 3, width)
    emotion, target = torch.arange(n_real) % n_emotions, draw(n_emotions, n)
    real = modes[emotion, draw(3, n_real)] + 0.5 * normal(n_real, width)
    features = modes[target, draw(3, n)] + 0.4 * normal(n, width)
    doubled = draw(n, n // 3)
    features[doubled] = features[draw(n, n // 3)] + 0.02 * normal(n // 3, width)
    features[:2] = real[:2]
    logits = 2.0 * torch.nn.functional.one_hot(target, n_emotions) + normal(n, n_emotions)
    probability = logits.softmax(1).gather(1, target[:, None]).squeeze(1)
    candidates = Candidates(features, logits, target, draw(4, n) - 1, draw(5, n) - 1, probability)
    return candidates, Reference(real, emotion)
