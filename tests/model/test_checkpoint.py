"""Checkpoint files: what is none is refused."""

import pytest
import torch

from uniemo.errors import UserError
from uniemo.model.checkpoint import read_checkpoint


@pytest.mark.parametrize(
    "content", [None, b"no checkpoint", {"other": 1}, {"names": {}, "state_dict": {}}]
)
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "model.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UserError, match=r"model\.ckpt") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
