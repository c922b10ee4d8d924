"""uniemo: unified visual emotion understanding and generation."""

__version__ = "0.1.0"
