"""The understanding chain: image -> fe, fs, fo (docs/method.md, "Understanding chain").

Legend: B images, h side of the image in pixels, D width of the vision transformer, N its layers,
T tokens [class, patches], gh x gw patches, Q query tokens of a set.
"""

from typing import Literal, NamedTuple

import torch
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from uniemo.batch import Features
from uniemo.errors import UserError
from uniemo.understanding.attention import PackedSelfAttention
from uniemo.understanding.queries import ExpertQueries, NoQueries, QueryStart

N_STAGES = 3

QuerySets = Literal["both", "scene", "object", "none"]
"""Which sets of expert queries a chain has; all but "both" are ablations."""


FeatureDepth = Literal["last", "own"]
"""Where fs and fo are read. ``last``: after the last layer, which the queries go through anyway
(extension: there CLIP knows most). ``own``: after the set's own interactive block (published)."""


class AttentionMaps(NamedTuple):
    """Where each query of the two interactive blocks looks; a set that is absent has Q = 0."""

    scene: Tensor  # [B, Q, gh, gw] in [0, 1]; a map sums to 1 less the class token's share
    object: Tensor  # [B, Q, gh, gw]


class UnderstandingChain(nn.Module):
    """CLIP's vision transformer in three equal stages, with scene and object queries beside it.

    open_clip's own blocks run, so QuickGELU or not follows the weights; their attention alone is
    replaced by one without copies, to the same numbers. Without queries, ``fe``
    times ``visual.proj`` is open_clip's ``encode_image``. Without a set, its feature is the mean
    over the patch tokens where the set would have been read (extension).

    The chain does not use ``visual.proj`` and freezes it, so that no weight of it is without a
    gradient when the tower is trained.

    Args:
        visual: The vision transformer of an open_clip model; it becomes part of the chain.
        n_queries: Q, query tokens of each set.
        queries: The sets to have.
        start: What the queries start as.
        feature_depth: Where fs and fo are read.

    Raises:
        UserError: If the vision tower is not a VisionTransformer with a pooled class or mean
            token, or its depth does not divide by three.
    """

    def __init__(
        self,
        visual: VisionTransformer,
        n_queries: int = 32,
        queries: QuerySets = "both",
        start: QueryStart = "class_token",
        feature_depth: FeatureDepth = "last",
    ) -> None:
        super().__init__()
        if not isinstance(visual, VisionTransformer):
            raise UserError(
                f"the vision tower is a {type(visual).__name__}; "
                "choose a CLIP with open_clip's VisionTransformer"
            )
        if visual.attn_pool is not None or visual.pool_type == "none":
            raise UserError(
                "the vision tower pools its tokens by attention or not at all; "
                "choose a CLIP that pools the class token or the mean"
            )
        blocks = visual.transformer.resblocks
        depth, width = len(blocks), visual.transformer.width
        if depth % N_STAGES:
            raise UserError(
                f"the vision tower has {depth} layers, which do not make three equal stages; "
                "choose a CLIP whose depth divides by three"
            )
        for block in blocks:
            if type(block.attn) is nn.MultiheadAttention and block.attn.batch_first:
                block.attn = PackedSelfAttention.of(block.attn)
        visual.proj.requires_grad_(False)
        self.visual = visual
        self.feature_depth = feature_depth
        n_heads = blocks[0].attn.num_heads  # published: D / 64, as ViT-L/14 has

        def make_set(name: str, number: int) -> ExpertQueries | NoQueries:
            if queries not in ("both", name):
                return NoQueries()
            made = ExpertQueries(n_queries, width, n_heads, depth, start)
            if start == "class_token":
                made.block.look_as(blocks[number * depth // N_STAGES - 1])
            return made

        self.scene_queries = make_set("scene", 1)
        self.object_queries = make_set("object", 2)

    @property
    def width(self) -> int:
        """D, the width of the features."""
        return self.visual.transformer.width

    def forward(self, image: Tensor) -> Features:
        """Read images.

        Args:
            image: [B, 3, h, h] float, normalised with CLIP's own mean and deviation.

        Returns:
            fe, fs and fo, each [B, D].
        """
        return self._read(image)[0]

    def attention(self, image: Tensor) -> AttentionMaps:
        """Return the two interactive blocks' attention over the patches, mean over heads.

        Args:
            image: [B, 3, h, h] float, normalised with CLIP's own mean and deviation.

        Returns:
            Maps at the resolution of the patches, [B, Q, gh, gw] each.
        """
        return self.features_and_attention(image)[1]

    def features_and_attention(self, image: Tensor) -> tuple[Features, AttentionMaps]:
        """Return what :meth:`forward` and :meth:`attention` return, in one run."""
        features, at_scene, at_object = self._read(image)
        scene_map = self.scene_queries.attention(*at_scene)  # [B, Q, gh * gw]
        object_map = self.object_queries.attention(*at_object)  # [B, Q, gh * gw]
        grid = self.visual.grid_size
        maps = AttentionMaps(scene_map.unflatten(-1, grid), object_map.unflatten(-1, grid))
        return features, maps

    def _read(self, image: Tensor) -> tuple[Features, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return the features, and the queries and tokens that enter the two interactive blocks."""
        scenes, objects = self.scene_queries, self.object_queries
        tokens = self.visual._embeds(image)  # [class, patches] [B, T, D]
        tokens, scene = self._stage(0, tokens, scenes.before(tokens))
        scene = scenes.enter(scene, tokens)  # [B, Q, D]
        at_scene = scene, tokens  # after layer L1
        scene = scenes(scene, tokens)  # [B, Q, D]
        scene_feature = scenes.feature(scene, tokens)  # [B, D]
        tokens, scene, object_ = self._stage(1, tokens, scene, objects.before(tokens))
        object_ = objects.enter(object_, tokens)  # [B, Q, D]
        at_object = object_, tokens  # after layer L2
        object_ = objects(object_, tokens)  # [B, Q, D]
        object_feature = objects.feature(object_, tokens)  # [B, D]
        tokens, scene, object_ = self._stage(2, tokens, scene, object_)
        if self.feature_depth == "last":
            scene_feature = scenes.feature(scene, tokens)
            object_feature = objects.feature(object_, tokens)
        emotion_feature, _ = self.visual._pool(tokens)  # LN(class) [B, D]
        return Features(emotion_feature, scene_feature, object_feature), at_scene, at_object

    def _stage(self, number: int, *sequences: Tensor) -> tuple[Tensor, ...]:
        """Run one third of the layers over the joined sequences [B, *, D]; return them apart."""
        transformer = self.visual.transformer
        length = len(transformer.resblocks) // N_STAGES
        x = torch.cat(sequences, dim=1)
        x = x if transformer.batch_first else x.transpose(0, 1)
        for block in transformer.resblocks[number * length : (number + 1) * length]:
            if transformer.grad_checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        x = x if transformer.batch_first else x.transpose(0, 1)
        return x.split([sequence.shape[1] for sequence in sequences], dim=1)
