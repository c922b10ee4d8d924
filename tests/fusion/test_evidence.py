import torch

from tests.tiny import filled_base
from uniemo.fusion import AttributeEvidence


def test_both_bases_evidence_is_summed_by_two_weights():
    random = torch.Generator().manual_seed(0)
    emotion = torch.randint(8, (50,), generator=random)
    bases = [
        filled_base(
            torch.randn(n, 4, generator=random),
            emotion,
            torch.rand(50, n, generator=random) < 0.4,
            1,
        )
        for n in (3, 5)
    ]
    queries = [torch.randn(2, 4, generator=random) for _ in bases]
    scales = torch.tensor(2.0), torch.tensor(7.0)
    evidence = AttributeEvidence()
    scene, object_ = (b.evidence(q, s) for b, q, s in zip(bases, queries, scales, strict=True))
    assert torch.allclose(evidence(*queries, *bases, *scales), scene + object_)
    evidence.weight.data = torch.tensor([0.0, 2.0])
    assert torch.allclose(evidence(*queries, *bases, *scales), 2 * object_)


def test_autocast_does_not_round_evidence():
    random = torch.Generator().manual_seed(0)
    names = torch.rand(50, 6, generator=random) < 0.4
    emotion = torch.randint(8, (50,), generator=random)
    base = filled_base(torch.randn(6, 4, generator=random), emotion, names, 1)
    query, scale = torch.randn(9, 4, generator=random), torch.tensor(50.0)
    expected = base.evidence(query, scale)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(base.evidence(query, scale), expected)
