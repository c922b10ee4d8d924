"""Fingerprints depend on content, type and shape, but not on layout or device."""

import pytest
import torch

from uniemo.utils.fingerprints import fingerprint


def test_a_fingerprint_is_pinned() -> None:
    # Caches on users' disks are named by it: this value must never change.
    assert fingerprint("a", torch.arange(3)) == "3e542cfd9868c94ff1e2e54072af3ca5"


def test_it_depends_on_every_part_and_on_type_and_shape() -> None:
    x = torch.arange(6.0)
    parts = [("a", x), ("b", x), (x, "a"), ("a", x + 1), ("a", x.double()), ("a", x.view(2, 3))]
    assert len({fingerprint(*part) for part in parts}) == len(parts)
    assert fingerprint(x.view(2, 3).T) == fingerprint(x.view(2, 3).T.contiguous())
    assert fingerprint(x.bfloat16()) != fingerprint(x.half())


@pytest.mark.gpu
def test_it_does_not_depend_on_the_device(gpu: torch.device) -> None:
    x = torch.arange(6.0)
    assert fingerprint("a", x.to(gpu)) == fingerprint("a", x)
