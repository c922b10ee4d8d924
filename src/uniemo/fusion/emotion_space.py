"""Emotion spaces: p(fe, fs, fo | emotion), from which generation draws.

Source: docs/method.md, "Emotion space".

The published one is :class:`DiagonalGaussian`. It draws between the modes of an emotion, and fe, fs
and fo apart; the others (extensions) keep the features of one image together.

A space is filled in one pass over the training split: ``reset``, ``update`` for every batch,
``synchronise`` once. Results are buffers, so a checkpoint holds them. In between, DDP must not
broadcast buffers (it does so in every training step, unless told otherwise): the sums of all ranks
but the first would be lost.

Legend: B images, D width of the features, M = 3 D width of [fe, fs, fo], C emotions, R capacity of
the reservoir, F factors, K modes.
"""

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor, distributed, nn

from uniemo.batch import Features
from uniemo.emotions import N_EMOTIONS
from uniemo.fusion.streaming import Moments, Reservoir
from uniemo.utils.processes import is_distributed


class EmotionSpace(nn.Module, ABC):
    """What all spaces share: mean and deviation of every feature, per emotion.

    Args:
        feature_width: D.
        n_emotions: C.
    """

    def __init__(self, feature_width: int, n_emotions: int = N_EMOTIONS) -> None:
        super().__init__()
        self.n_emotions = n_emotions
        self.moments = Moments(3 * feature_width, n_emotions)

    def reset(self) -> None:
        """Forget everything, before a new pass over the split."""
        self.moments.reset()

    @torch.no_grad()
    def update(self, features: Features, emotion: Tensor, index: Tensor) -> None:
        """Take in a batch: features [B, D], emotions [B] long, rows of the split [B] long.

        Each row of the split must come once in a pass.
        """
        self._take(torch.cat(features, dim=1), emotion, index)

    @torch.no_grad()
    def synchronise(self) -> None:
        """Merge the statistics of all processes, then fit. Call once, after the last update.

        Without a process group it fits alone. With one, the fit is that of rank 0 everywhere.
        """
        self._merge()
        self._fit()
        if is_distributed():
            for buffer in self.buffers():
                distributed.broadcast(buffer, 0)

    @torch.no_grad()
    def sample(self, emotion: Tensor, generators: list[Generator]) -> Features:
        """Draw features for emotions to express.

        Args:
            emotion: [B] long.
            generators: One for each image, so that an image is the same in any batch.

        Returns:
            fe, fs and fo, each [B, D] float32.

        Raises:
            ValueError: If there is not one generator per image, or an emotion was never seen.
        """
        if len(generators) != len(emotion):
            raise ValueError(
                f"{len(generators)} generators for {len(emotion)} images; give one for each"
            )
        labels = emotion.tolist()
        for label in set(labels):
            if not self.moments.count[label]:
                raise ValueError(
                    f"the emotion space has no features of emotion {label}; "
                    "update it over the training split, or load a checkpoint"
                )
        drawn = [self._draw(*pair) for pair in zip(labels, generators, strict=True)]
        return Features(*torch.stack(drawn).float().chunk(3, dim=1))  # 3 x [B, D]

    def _take(self, tied: Tensor, emotion: Tensor, index: Tensor) -> None:
        """Take in tied vectors [B, M]."""
        self.moments.update(tied, emotion)

    def _merge(self) -> None:
        """Merge the statistics of all processes."""
        self.moments.synchronise()

    def _fit(self) -> None:
        """Compute from the statistics what drawing needs."""

    @abstractmethod
    def _draw(self, emotion: int, generator: Generator) -> Tensor:
        """Draw one tied vector [M]."""

    def _noise(self, size: int, generator: Generator) -> Tensor:
        """Draw standard normal numbers [size] in float64."""
        noise = torch.randn(size, generator=generator, device=generator.device, dtype=torch.float64)
        return noise.to(self.moments.mean.device)


class DiagonalGaussian(EmotionSpace):
    """The published space: every dimension of fe, fs, fo a Gaussian of its own, per emotion."""

    def _draw(self, emotion: int, generator: Generator) -> Tensor:
        mean, std = self.moments.mean[emotion], self.moments.std()[emotion]  # [M]
        return mean + std * self._noise(len(mean), generator)


class ReservoirSpace(EmotionSpace):
    """A space that also looks at whole rows [fe, fs, fo], a fixed random subset of the split.

    Args:
        feature_width: D.
        capacity: R, rows kept per emotion (R * M * 32 bytes in all).
        persistent: Whether the rows themselves are part of a checkpoint.
        n_emotions: C.
    """

    def __init__(
        self, feature_width: int, capacity: int, persistent: bool, n_emotions: int
    ) -> None:
        super().__init__(feature_width, n_emotions)
        self.reservoir = Reservoir(3 * feature_width, capacity, persistent, n_emotions)

    def reset(self) -> None:
        """Forget everything, before a new pass over the split."""
        super().reset()
        self.reservoir.reset()

    def _take(self, tied: Tensor, emotion: Tensor, index: Tensor) -> None:
        super()._take(tied, emotion, index)
        self.reservoir.update(tied, emotion, index)

    def _merge(self) -> None:
        super()._merge()
        self.reservoir.synchronise()


class TiedGaussian(ReservoirSpace):
    """One Gaussian over [fe, fs, fo] per emotion, with correlations (extension).

    Mean and deviations are exact, from the whole split. Correlations are low-rank plus diagonal:
    the leading principal axes of the standardised reservoir, the rest of each dimension's variance
    as noise of its own. So a dimension alone is distributed as in :class:`DiagonalGaussian`.

    Args:
        feature_width: D.
        rank: F, axes kept per emotion.
        capacity: R, rows the axes are found from.
        n_emotions: C.

    Raises:
        ValueError: If rank or capacity is below 1.
    """

    factor: Tensor  # [C, M, F]

    def __init__(
        self,
        feature_width: int,
        rank: int = 64,
        capacity: int = 1024,
        n_emotions: int = N_EMOTIONS,
    ) -> None:
        super().__init__(feature_width, capacity, False, n_emotions)
        if rank < 1:
            raise ValueError(f"rank is {rank}; keep at least 1 axis")
        self.register_buffer("factor", torch.zeros(n_emotions, 3 * feature_width, rank))

    def _fit(self) -> None:
        self.factor.zero_()
        std = self.moments.std().clamp(min=1e-12)  # a dimension that never varies stays so
        for emotion in range(self.n_emotions):
            rows = self.reservoir.of(emotion).double()
            if len(rows) < 2:
                continue
            standard = (rows - self.moments.mean[emotion]) / std[emotion]  # [n, M]
            _, scale, axes = torch.linalg.svd(standard / len(rows) ** 0.5, full_matrices=False)
            rank = min(self.factor.shape[2], len(scale))
            factor = axes[:rank].T * scale[:rank]  # [M, rank]
            # The subset's variance of a dimension may exceed the split's, which is 1 here.
            excess = factor.square().sum(dim=1, keepdim=True).clamp(min=1).sqrt()
            self.factor[emotion, :, :rank] = (factor / excess).float()

    def _draw(self, emotion: int, generator: Generator) -> Tensor:
        mean, std = self.moments.mean[emotion], self.moments.std()[emotion]  # [M]
        factor = self.factor[emotion].double()  # [M, F]
        rest = (1 - factor.square().sum(dim=1)).clamp(min=0).sqrt()  # [M]
        shared = factor @ self._noise(factor.shape[1], generator)  # [M]
        return mean + std * (shared + rest * self._noise(len(mean), generator))


class Mixture(ReservoirSpace):
    """Several modes per emotion over [fe, fs, fo] (extension).

    k-means on the standardised reservoir; a mode is drawn by its share of the rows, then noise of
    the deviation within modes is added. fe, fs, fo of one draw come from one mode.

    Args:
        feature_width: D.
        modes: K, modes per emotion; fewer if an emotion has fewer rows.
        capacity: R, rows the modes are found from.
        n_emotions: C.

    Raises:
        ValueError: If modes or capacity is below 1.
    """

    share: Tensor  # [C, K], rows sum to 1
    centre: Tensor  # [C, K, M]
    within: Tensor  # [C, M], deviation within modes

    def __init__(
        self,
        feature_width: int,
        modes: int = 16,
        capacity: int = 1024,
        n_emotions: int = N_EMOTIONS,
    ) -> None:
        super().__init__(feature_width, capacity, False, n_emotions)
        if modes < 1:
            raise ValueError(f"modes is {modes}; use at least 1")
        width = 3 * feature_width
        self.register_buffer("share", torch.zeros(n_emotions, modes))
        self.register_buffer("centre", torch.zeros(n_emotions, modes, width))
        self.register_buffer("within", torch.zeros(n_emotions, width))

    def _fit(self) -> None:
        # Slow to import, and only this space needs them.
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits

        self.share.zero_()
        std = self.moments.std().clamp(min=1e-12)
        for emotion in range(self.n_emotions):
            rows = self.reservoir.of(emotion).double()  # [n, M]
            if not len(rows):
                continue
            modes = min(self.share.shape[1], len(rows))
            standard = (rows - self.moments.mean[emotion]) / std[emotion]
            with threadpool_limits(1):  # the same sums on any number of cores
                clusters = KMeans(modes, n_init=4, random_state=0).fit_predict(
                    standard.cpu().numpy()
                )
            label = torch.from_numpy(clusters).to(rows.device).long()  # [n]
            member = nn.functional.one_hot(label, modes).double()  # [n, modes]
            count = member.sum(dim=0)  # [modes]
            centre = member.T @ rows / count.clamp(min=1).unsqueeze(1)  # [modes, M]
            self.share[emotion, :modes] = (count / len(rows)).float()
            self.centre[emotion, :modes] = centre.float()
            self.within[emotion] = (rows - centre[label]).square().mean(dim=0).sqrt().float()

    def _draw(self, emotion: int, generator: Generator) -> Tensor:
        uniform = torch.rand((), generator=generator, device=generator.device, dtype=torch.float64)
        edges = self.share[emotion].double().cumsum(dim=0)  # [K]
        mode = torch.searchsorted(edges, uniform.to(edges.device) * edges[-1], right=True)
        within = self.within[emotion].double()
        return self.centre[emotion, mode] + within * self._noise(len(within), generator)


class StoredFeatures(ReservoirSpace):
    """Features of real images, jittered (extension): keeps both modes and correlations.

    Args:
        feature_width: D.
        jitter: Deviation of the added noise, as a fraction of the deviation within the emotion.
        capacity: R, rows stored per emotion.
        n_emotions: C.

    Raises:
        ValueError: If jitter is below 0 or capacity below 1.
    """

    def __init__(
        self,
        feature_width: int,
        jitter: float = 0.2,
        capacity: int = 512,
        n_emotions: int = N_EMOTIONS,
    ) -> None:
        super().__init__(feature_width, capacity, True, n_emotions)
        if jitter < 0:
            raise ValueError(f"jitter is {jitter}; use 0 or more")
        self.jitter = jitter

    def _draw(self, emotion: int, generator: Generator) -> Tensor:
        rows = self.reservoir.of(emotion)  # [n, M]
        chosen = torch.randint(len(rows), (), generator=generator, device=generator.device)
        std = self.moments.std()[emotion]  # [M]
        return rows[int(chosen)] + self.jitter * std * self._noise(len(std), generator)
