"""The three mappers from features to the token-embedding space (docs/method.md, "Condition").

Legend: B images, D width of the features, W width of the text encoder's token embeddings.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class Mapper(nn.Module):
    """Map a feature to a word: MLP D -> D -> W with ReLU.

    The feature is brought to zero mean and unit deviation first, and the weights start so that the
    word has unit deviation too (extension): fe follows a layer norm, but fs and fo are means of
    tokens in mid-transformer, whose size differs from CLIP to CLIP and from layer to layer.

    Args:
        feature_width: D.
        word_width: W.
        normalise: Whether features are normalised (extension).
    """

    def __init__(self, feature_width: int, word_width: int, normalise: bool = True) -> None:
        super().__init__()
        self.normalise = normalise
        self.hidden = nn.Linear(feature_width, feature_width)
        self.output = nn.Linear(feature_width, word_width)
        nn.init.kaiming_normal_(self.hidden.weight, nonlinearity="relu")
        nn.init.normal_(self.output.weight, std=feature_width**-0.5)
        nn.init.zeros_(self.hidden.bias)
        nn.init.zeros_(self.output.bias)

    def forward(self, feature: Tensor) -> Tensor:
        """Return the word of a feature [B, D]: [B, W], of unit deviation at the start."""
        if self.normalise:
            feature = F.layer_norm(feature, feature.shape[-1:])
        return self.output(F.relu(self.hidden(feature)))
