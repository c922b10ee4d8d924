import open_clip
import pytest
import torch


@pytest.fixture
def clip_config():
    """The configuration of a tiny CLIP, as open_clip writes it."""
    return {
        "embed_dim": 32,
        "quick_gelu": True,
        "vision_cfg": {
            "image_size": 32,
            "layers": 6,
            "width": 64,
            "head_width": 32,
            "patch_size": 8,
        },
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 49408,
            "width": 32,
            "heads": 2,
            "layers": 1,
        },
    }


@pytest.fixture
def make_clip(clip_config):
    """Build a tiny random open_clip model; keywords change its vision config."""

    def make(quick_gelu: bool = True, **vision):
        torch.manual_seed(0)
        config = clip_config | {"quick_gelu": quick_gelu}
        config["vision_cfg"] = config["vision_cfg"] | vision
        return open_clip.CLIP(**config).eval()

    return make


@pytest.fixture
def image():
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
