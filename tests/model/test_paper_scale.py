"""The structure of paper scale, by counting on the meta device."""

import torch
from torch import Tensor

from uniemo.config.experiment import Experiment
from uniemo.diffusion.random_weights import STABLE_DIFFUSION_15, random_stable_diffusion
from uniemo.model import assemble, build_model
from uniemo.model.optimizer import trained_parameters
from uniemo.understanding import load_clip


def test_paper_scale_has_the_papers_widths_and_trains_what_the_paper_trains():
    """ViT-L/14 and Stable Diffusion 1.5 on the meta device: figures by hand.

    A block: queries 32 x 1024; cross-attention q, k, v 3 x 1024^2 without bias and output
    1024^2 + 1024; three norms; MLP 2 x 4 x 1024^2 + 5 x 1024.
    """
    settings = Experiment.read("emoset").model
    with torch.device("meta"):
        backbone = load_clip(settings.clip.model, load_weights=False)
        head = random_stable_diffusion(**STABLE_DIFFUSION_15)
        module = assemble(backbone, head, settings)
    chain, fusion = module.understanding.chain, module.fusion
    assert (chain.width, fusion.scene_base.text_features.shape[1], module.head.width) == (
        1024,
        768,
        768,
    )
    assert module.understanding.chain.visual.positional_embedding.shape == (257, 1024)
    assert module.longest_sequence == 64 * 64  # the U-Net's first level; CLIP's is 257 + 2 x 32
    counts = {"visual": 0, "queries": 0, "heads": 0, "mappers": 0}
    for group, _, parameter in trained_parameters(module):
        counts[group] += parameter.numel()
    d, w = 1024, 768
    block = 32 * d + 3 * d * d + d * d + d + 3 * 2 * d + 2 * 4 * d * d + 5 * d
    head = (d * w + w) + (w * 8 + 8)
    projection = d * w + 2 * d
    mapper = (d * d + d) + (d * w + w)
    norms, attention, mlp = 2 * 2 * d, 4 * d * d + 4 * d, 2 * 4 * d * d + 5 * d
    # Patches of 14 x 14, class token, 257 positions, norms before and after; proj is not trained.
    visual = 24 * (norms + attention + mlp) + 3 * 14 * 14 * d + d + 257 * d + 2 * 2 * d
    assert counts == {
        "visual": visual,
        "queries": 2 * block,
        "heads": head + 2 * projection + 2,
        "mappers": 3 * mapper,
    }


def test_a_dry_run_builds_paper_scale_without_a_download():
    settings = Experiment.read("emoset").changed({"model.random_weights": True}).model
    with torch.device("meta"):
        model = build_model(settings)
    assert model.head.unet.dtype == torch.bfloat16
    assert model.noise.shape == (4, 64, 64)
    assert int(model.head.prompts.tokenizer("awe").input_ids[0]) == 49406


class Fused(torch.autograd.Function):
    """Attention that keeps what the GPU's fused kernel keeps: no matrix of all pairs."""

    @staticmethod
    def forward(ctx, query, key, value):
        out = torch.empty_like(query)
        ctx.save_for_backward(query, key, value, out)
        return out


def test_an_image_keeps_the_memory_that_the_settings_name(monkeypatch):
    """What the U-Net of Stable Diffusion 1.5 in bfloat16 keeps for the words' gradient."""
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda q, k, v, **_: Fused.apply(q, k, v),
    )
    with torch.device("meta"):
        head = random_stable_diffusion(**STABLE_DIFFUSION_15).to(torch.bfloat16)
        latent, timestep = torch.zeros(2, 4, 64, 64), torch.zeros(2, dtype=torch.long)
        states = torch.zeros(2, 77, 768, requires_grad=True)
    weights = {p.untyped_storage()._cdata for p in head.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        prediction = head.unet(latent.bfloat16(), timestep, states.bfloat16()).sample
    assert prediction.requires_grad
    assert 0.65e9 < sum(kept.values()) / 2 < 0.8e9
