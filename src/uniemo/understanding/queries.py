"""Expert queries and the block in which they read the image.

Source: docs/method.md, "Understanding chain".

Legend: B images, Q query tokens, P patches, T = 1 + P tokens [class, patches], D width of the
vision transformer, N its layers.
"""

from typing import Literal

import torch
from open_clip.transformer import QuickGELU, ResidualAttentionBlock
from torch import Tensor, nn
from torch.nn import functional as F

QUERY_STD = 0.02


class InteractiveBlock(nn.Module):
    """Q <- Q + CrossAttn(LN(Q), LN([class, patches])); Q <- Q + MLP(LN(Q)).

    Queries, keys and values have no bias; the MLP is 4 D wide with QuickGELU (steps 2 and 4).

    Weights start as CLIP's own towers do (extension): projections into attention with deviation
    D^-0.5, those that write to the residual stream with D^-0.5 (2 N)^-0.5, so that the block starts
    as a small correction of Q and every weight has a gradient from the first step.

    Args:
        width: D.
        n_heads: Attention heads; must divide D.
        depth: N, layers of the transformer that the block is part of.
    """

    def __init__(self, width: int, n_heads: int, depth: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query_norm = nn.LayerNorm(width)
        self.token_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp_hidden = nn.Linear(width, 4 * width)
        self.mlp_output = nn.Linear(4 * width, width)
        self.activation = QuickGELU()
        for linear in (self.query, self.key, self.value):
            nn.init.normal_(linear.weight, std=width**-0.5)
        nn.init.normal_(self.mlp_hidden.weight, std=(2 * width) ** -0.5)
        for linear in (self.output, self.mlp_output):
            nn.init.normal_(linear.weight, std=(2 * depth * width) ** -0.5)
        for linear in (self.output, self.mlp_hidden, self.mlp_output):
            nn.init.zeros_(linear.bias)

    @torch.no_grad()
    def look_as(self, layer: ResidualAttentionBlock) -> None:
        """Start to look at the patches that the class token looks at in a layer of CLIP."""
        query, key, _ = layer.attn.in_proj_weight.chunk(3)  # [D, D] each
        self.query.weight.copy_(query)
        self.key.weight.copy_(key)
        for norm in (self.query_norm, self.token_norm):
            norm.load_state_dict(layer.ln_1.state_dict())

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Let queries [B, Q, D] read tokens [B, T, D]; return the queries [B, Q, D]."""
        q, k, v = self._project(queries, tokens)
        read = F.scaled_dot_product_attention(q, k, v)  # [B, heads, Q, D / heads]
        queries = queries + self.output(read.transpose(1, 2).flatten(2))  # [B, Q, D]
        hidden = self.activation(self.mlp_hidden(self.mlp_norm(queries)))  # [B, Q, 4 D]
        return queries + self.mlp_output(hidden)  # [B, Q, D]

    def attention(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Return how much each query reads each token, mean over heads: [B, Q, T], sums to 1."""
        q, k, _ = self._project(queries, tokens)
        logits = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5  # [B, heads, Q, T]
        return logits.float().softmax(dim=-1).mean(dim=1)  # [B, Q, T]

    def _project(self, queries: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        queries, tokens = self.query_norm(queries), self.token_norm(tokens)
        return (
            self._heads(self.query(queries)),  # [B, heads, Q, D / heads]
            self._heads(self.key(tokens)),  # [B, heads, T, D / heads]
            self._heads(self.value(tokens)),  # [B, heads, T, D / heads]
        )

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


QueryStart = Literal["class_token", "learned"]
"""What a set of queries is before it reads the image. ``class_token``: CLIP's class token at this
depth, plus learned offsets; the block starts to look where the class token has just looked. So the
set starts with most of what CLIP knows (extension). ``learned``: learned tokens alone, which
go through the layers of the stage before; the block looks anywhere at first (published)."""


class ExpertQueries(nn.Module):
    """One set of query tokens with its interactive block: the scene's or the object's.

    The learned tokens start as noise of deviation 0.02, CLIP's own for learnt embeddings.

    Args:
        n_queries: Q, at least 1.
        width: D.
        n_heads: Attention heads of the interactive block.
        depth: N.
        start: What the queries start as.

    Raises:
        ValueError: If n_queries is below 1.
    """

    def __init__(
        self,
        n_queries: int,
        width: int,
        n_heads: int,
        depth: int,
        start: QueryStart = "class_token",
    ) -> None:
        super().__init__()
        if n_queries < 1:
            raise ValueError(f"n_queries is {n_queries}; use at least 1 (or the set 'none')")
        self.start = start
        self.tokens = nn.Parameter(QUERY_STD * torch.randn(n_queries, width))
        self.block = InteractiveBlock(width, n_heads, depth)

    def before(self, tokens: Tensor) -> Tensor:
        """Return what goes beside tokens [B, T, D] through the stage before: [B, Q or 0, D]."""
        if self.start == "class_token":
            return tokens[:, :0]
        return self.tokens.to(tokens.dtype).expand(len(tokens), -1, -1)

    def enter(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Return the queries [B, Q, D] as they enter their block, beside tokens [B, T, D].

        Args:
            queries: [B, Q or 0, D], what :meth:`before` gave, after the stage before.
            tokens: [B, T, D].
        """
        if self.start == "class_token":
            return tokens[:, :1] + self.tokens.to(tokens.dtype)
        return queries

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Let queries [B, Q, D] read tokens [B, T, D]: [B, Q, D]."""
        return self.block(queries, tokens)

    def feature(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Return the attribute feature, the mean over query tokens: [B, D]."""
        return queries.mean(dim=1)

    def attention(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Return the block's attention over patches: [B, Q, P]; the class token has the rest."""
        return self.block.attention(queries, tokens)[:, :, 1:]


class NoQueries(nn.Module):
    """An absent set, for ablations: no token, no weight; its feature is the mean patch."""

    def before(self, tokens: Tensor) -> Tensor:
        """Return no query beside tokens [B, T, D]: [B, 0, D]."""
        return tokens[:, :0]

    def enter(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Return the queries [B, 0, D] as they are."""
        return queries

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Return the queries [B, 0, D] as they are."""
        return queries

    def feature(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Return the mean over the patch tokens at this depth: [B, D]."""
        return tokens[:, 1:].mean(dim=1)

    def attention(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Return no map: [B, 0, P]."""
        return tokens.new_zeros(len(tokens), 0, tokens.shape[1] - 1)
