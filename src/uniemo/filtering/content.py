"""An order of images that depends on their content alone.

Rows sorted in this order give the same result, ties and rounding errors included, in whatever order
the candidates are passed.

Legend: N rows.
"""

import torch
from torch import Tensor

from uniemo.filtering.similarity import row_blocks


def content_order(columns: list[Tensor], seed: int = 0) -> Tensor:
    """Return the rows, [N] long, sorted by a 64-bit hash of their content.

    The hash is multilinear: sum_i a_i w_i mod 2^64 over the 32-bit words w of a row, with random
    a_i drawn from ``seed``.

    Args:
        columns: Tensors [N] or [N, .], float or integer, that together form the rows.
        seed: Seed of the hash; each seed gives another pseudo-random order.
    """
    words = [_words(column) for column in columns]
    width = sum(word.shape[1] for word in words)
    generator = torch.Generator().manual_seed(seed)
    limits = torch.iinfo(torch.int64)
    factors = torch.randint(limits.min, limits.max, (width,), generator=generator)
    factors = factors.to(words[0].device)
    hashed = torch.empty(len(words[0]), dtype=torch.int64, device=words[0].device)
    for rows in row_blocks(len(hashed)):
        row_words = torch.cat([word[rows] for word in words], dim=1).long()  # [rows, width]
        hashed[rows] = (row_words * factors).sum(dim=1)  # modulo 2^64
    return hashed.argsort(stable=True)


def _words(column: Tensor) -> Tensor:
    """Return the 32-bit words of a column: [N, .] int32."""
    column = column[:, None] if column.ndim == 1 else column
    column = column.float() if column.is_floating_point() else column.int()
    return column.contiguous().view(torch.int32)
