"""Attribute bases: the names of one attribute, their text features and p(emotion | name).

Source: docs/method.md, "Attribute bases and correlation coefficient".

Legend: N rows of the training split, K names, E width of CLIP's joint space, B images, C emotions.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniemo.emotions import N_EMOTIONS

DOUBT = 0.02
"""Share of the prior in an attribute's evidence: no name rules an emotion out."""


class AttributeBase(nn.Module):
    """What training taught about the names of one attribute, scenes or objects.

    It starts empty: every retrieval gives -1 and every coefficient 0, until :meth:`fill` or a
    checkpoint. A pure function of annotations, hence equal on every process.

    Args:
        n_names: K.
        embedding_width: E.
        n_emotions: C.
    """

    text_features: Tensor  # [K, E] unit length
    probability: Tensor  # [K, C] p(emotion | name), smoothed; p(emotion) outside the base
    correlation: Tensor  # [K, C] the coefficient alpha of a name with an emotion; 0 outside
    supported: Tensor  # [K] bool, whether the name is in the base
    prior: Tensor  # [C] p(emotion)

    def __init__(self, n_names: int, embedding_width: int, n_emotions: int = N_EMOTIONS) -> None:
        super().__init__()
        self.register_buffer("text_features", torch.zeros(n_names, embedding_width))
        self.register_buffer("probability", torch.zeros(n_names, n_emotions))
        self.register_buffer("correlation", torch.zeros(n_names, n_emotions))
        self.register_buffer("supported", torch.zeros(n_names, dtype=torch.bool))
        self.register_buffer("prior", torch.full((n_emotions,), 1 / n_emotions))

    def fill(
        self,
        text_features: Tensor,
        emotion: Tensor,
        names: Tensor,
        smoothing: float = 2.0,
        support: int = 0,
    ) -> None:
        """Estimate p(emotion | name) and p(emotion) from the training split.

        With n images of a name, n_y of them of emotion y, and smoothing s:
        p(y | name) = (n_y + s p(y)) / (n + s), the mean of the posterior under a Dirichlet prior
        of strength s around p(emotion); alpha = n_y / (n + s), so that a name that was hardly seen
        adds hardly anything. The published estimate is s = 0 with a threshold ``support``; the
        threshold loses what rare names tell (extension).

        Args:
            text_features: [K, E] CLIP's text features of the names, any length.
            emotion: [N] long.
            names: [N, K] bool, the names each row is annotated with.
            smoothing: s, in images; 0 or more.
            support: Rows a name must occur in to be in the base; 0 for every name.

        Raises:
            ValueError: If the sizes are not those of this base, or a number is negative.
        """
        n_names, n_emotions = self.probability.shape
        expected = tuple(self.text_features.shape)
        if text_features.shape != expected or names.shape != (len(emotion), n_names):
            raise ValueError(
                f"text_features {tuple(text_features.shape)} and names {tuple(names.shape)} should "
                f"be {expected} and {(len(emotion), n_names)}; build the base for this data set"
            )
        if smoothing < 0 or support < 0:
            raise ValueError(f"smoothing {smoothing} and support {support} should be 0 or more")
        row, name = names.nonzero(as_tuple=True)
        pair = name * n_emotions + emotion[row]
        count = pair.bincount(minlength=n_names * n_emotions).unflatten(0, (n_names, n_emotions))
        total = count.sum(dim=1, keepdim=True)  # [K, 1]
        supported = total >= support
        prior = emotion.bincount(minlength=n_emotions).double() / max(len(emotion), 1)  # [C]
        weight = (total + smoothing).double()  # [K, 1]
        known = supported & (weight > 0)
        correlation = torch.where(known, count / weight, 0.0)
        probability = correlation + torch.where(known, smoothing / weight, 1.0) * prior
        self.text_features.copy_(F.normalize(text_features.float(), dim=-1))
        self.probability.copy_(probability)
        self.correlation.copy_(correlation)
        self.supported.copy_(supported[:, 0])
        self.prior.copy_(prior)

    @torch.no_grad()
    def retrieve(self, query: Tensor) -> Tensor:
        """Return the name nearest by cosine to each query [B, E]: [B], -1 if not in the base."""
        if not len(self.supported):
            return query.new_full((len(query),), -1, dtype=torch.long)
        with torch.autocast(query.device.type, enabled=False):  # half precision confuses names
            cosine = F.normalize(query.float(), dim=-1) @ self.text_features.T  # [B, K]
        nearest = cosine.argmax(dim=1)  # [B]
        return torch.where(self.supported[nearest], nearest, -1)

    def coefficient_of(self, name: Tensor, emotion: Tensor) -> Tensor:
        """Return alpha of names [B] and emotions [B] long: [B]; 0 outside the base."""
        return F.pad(self.correlation, (0, 0, 0, 1))[name, emotion]  # -1 reads the row of zeros

    def coefficient(self, query: Tensor, emotion: Tensor) -> tuple[Tensor, Tensor]:
        """Retrieve a name and return its correlation with an emotion.

        Args:
            query: [B, E] projections of fs or fo.
            emotion: [B] long, the emotion to express.

        Returns:
            alpha [B] in [0, 1], and the retrieved name [B] long, -1 if it is not in the base.
        """
        name = self.retrieve(query)
        return self.coefficient_of(name, emotion), name

    def evidence(self, query: Tensor, logit_scale: Tensor) -> Tensor:
        """Return how much more likely the names of a query make each emotion (extension).

        log(p(emotion | query) / p(emotion)), where p(emotion | query) is the mean of
        p(emotion | name) over the names' softmax, a share :data:`DOUBT` of it being p(emotion).

        Args:
            query: [B, E] projections of fs or fo, unit length.
            logit_scale: Scalar that multiplies cosines, as in L_S and L_O.

        Returns:
            [B, C], with a gradient to the query; 0 if the base is empty.
        """
        with torch.autocast(query.device.type, enabled=False):  # half precision confuses names
            cosine = query.float() @ self.text_features.T  # [B, K]
            meant = (logit_scale * cosine).softmax(dim=1)
            lift = meant @ self.probability / self.prior.clamp(min=1e-12)  # [B, C]
        evidence = torch.log(DOUBT + (1 - DOUBT) * lift)
        return torch.where(self.supported.any(), evidence, 0.0)
