"""uniemo: unified visual emotion understanding and generation."""

import os

# Large tensors in huge pages save CPUs time; torch reads this when it first allocates one.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

__version__ = "0.1.0"
