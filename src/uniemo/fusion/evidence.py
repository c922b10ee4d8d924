"""Evidence of the retrieved names for the emotion (extension).

Legend: B images, E width of CLIP's joint space, C emotions.
"""

import torch
from torch import Tensor, nn

from uniemo.fusion.attribute_base import AttributeBase


class AttributeEvidence(nn.Module):
    """Read the emotion from scene and object: naive Bayes over the two attribute bases (extension).

    The published head sees fe alone. The bases that guide generation also know how each name shifts
    the emotions; a logistic model of what CLIP's text space makes of an image was the better
    reader on the embedded data set. Two learnt weights, which start at 1, say how far to trust it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def forward(
        self,
        scene_query: Tensor,
        object_query: Tensor,
        scene_base: AttributeBase,
        object_base: AttributeBase,
        scene_scale: Tensor,
        object_scale: Tensor,
    ) -> Tensor:
        """Return what to add to the emotion's logits: [B, C].

        Args:
            scene_query: [B, E] projection of fs, unit length.
            object_query: [B, E] projection of fo, unit length.
            scene_base: Names of scenes.
            object_base: Names of objects.
            scene_scale: Scalar that multiplies cosines with scenes.
            object_scale: Scalar that multiplies cosines with objects.
        """
        return self.weight[0] * scene_base.evidence(scene_query, scene_scale) + self.weight[
            1
        ] * object_base.evidence(object_query, object_scale)
