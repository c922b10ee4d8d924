"""Cosine similarity in blocks, so that no [N, M] matrix is in memory as a whole.

Legend: N queries, M keys, E feature width.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

BLOCK_ROWS = 512
BLOCK_COLUMNS = 2048  # a float32 block of 4 MiB: large enough for BLAS, small enough for the cache
_WHOLE_ROWS = 2**22  # elements of a block of whole rows


def unit(features: Tensor) -> Tensor:
    """Normalise features [N, E] to float32 rows of Euclidean length 1."""
    return functional.normalize(features.float(), dim=1)


def row_blocks(n_rows: int, block_rows: int = BLOCK_ROWS) -> Iterator[slice]:
    """Split ``range(n_rows)`` into slices of at most ``block_rows``."""
    for start in range(0, n_rows, block_rows):
        yield slice(start, min(start + block_rows, n_rows))


def largest_products(queries: Tensor, keys: Tensor) -> Tensor:
    """Return the largest inner product of queries [N, E] with any key [M, E]: [N].

    It is -inf if there are no keys.
    """
    largest = queries.new_full((len(queries),), -torch.inf)
    for rows in row_blocks(len(queries)):
        for columns in row_blocks(len(keys), BLOCK_COLUMNS):
            product = queries[rows] @ keys[columns].T  # [rows, columns]
            torch.maximum(largest[rows], product.amax(dim=1), out=largest[rows])
    return largest


def neighbour_cosine(queries: Tensor, keys: Tensor, k: int) -> Tensor:
    """Return the cosine similarity of queries [N, E] to their ``k``-th nearest key: [N] in [-1, 1].

    Queries and keys [M, E] are unit features; a query among the keys is its own first neighbour; k
    lies in [1, M].
    """
    block_rows = max(1, _WHOLE_ROWS // len(keys))
    blocks = row_blocks(len(queries), block_rows)
    return torch.cat([(queries[rows] @ keys.T).topk(k, dim=1).values[:, -1] for rows in blocks])
