"""Self-attention whose queries, keys and values are views of one product.

Legend: B images, T tokens, D width.
"""

from typing import Any, Self

from torch import Tensor, nn
from torch.nn import functional as F


class PackedSelfAttention(nn.MultiheadAttention):
    """PyTorch's multi-head attention without its copies of queries, keys and values.

    PyTorch's own copies them apart after their common product, and turns the sequence before and
    after. The parameters are the same ones. Where keys are not the queries, or a mask or weights
    are asked for, PyTorch's own runs.
    """

    @classmethod
    def of(cls, attention: nn.MultiheadAttention) -> Self:
        """Return attention with the parameters of another, which must be ``batch_first``."""
        packed = cls(attention.embed_dim, attention.num_heads, batch_first=True, device="meta")
        packed.in_proj_weight = attention.in_proj_weight
        packed.in_proj_bias = attention.in_proj_bias
        packed.out_proj = attention.out_proj
        return packed.train(attention.training)

    def forward(  # type: ignore[override]  # the rest is PyTorch's own
        self, query: Tensor, key: Tensor, value: Tensor, need_weights: bool = True, **how: Any
    ) -> tuple[Tensor, Tensor | None]:
        """Let tokens [B, T, D] attend to each other: ([B, T, D], None); see the class."""
        own = query is key is value and not need_weights
        if not own or any(given is not None for given in how.values()):
            return super().forward(query, key, value, need_weights=need_weights, **how)
        product = F.linear(query, self.in_proj_weight, self.in_proj_bias)  # [B, T, 3 D]
        q, k, v = product.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        read = F.scaled_dot_product_attention(q, k, v)  # [B, heads, T, D / heads]
        return self.out_proj(read.transpose(1, 2).flatten(2)), None
