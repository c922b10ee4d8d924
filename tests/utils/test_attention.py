import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from uniemo.utils.attention import SHORT, training_attention


def kernels(tokens: int, bfloat16: bool) -> set[str]:
    """The operations of one attention within the context, as PyTorch's profiler names them."""
    query = torch.rand(1, 2, tokens, 8, requires_grad=True)
    with (
        torch.autocast("cpu", torch.bfloat16, enabled=bfloat16),
        training_attention(torch.device("cpu"), tokens),
        torch.profiler.profile() as profile,
    ):
        F.scaled_dot_product_attention(query, query, query)
    return {event.key for event in profile.key_averages()}


@pytest.mark.parametrize(
    ("tokens", "bfloat16", "fused"),
    [(SHORT, True, False), (SHORT + 1, True, True), (SHORT, False, True)],
)
def test_plain_products_only_for_short_sequences_in_bfloat16(
    tokens: int, bfloat16: bool, fused: bool
) -> None:
    name = "aten::_scaled_dot_product_flash_attention_for_cpu"
    assert (name in kernels(tokens, bfloat16)) == fused


def test_gradients_are_those_of_the_fused_kernel() -> None:
    torch.manual_seed(0)
    start = torch.rand(3, 2, 17, 8)

    def gradient(tokens: int) -> Tensor:
        x = start.clone().requires_grad_()
        with (
            torch.autocast("cpu", torch.bfloat16),
            training_attention(torch.device("cpu"), tokens),
        ):
            query, key, value = x @ torch.eye(8), x @ torch.eye(8), x @ torch.eye(8)
            F.scaled_dot_product_attention(query, key, value).float().square().sum().backward()
        assert x.grad is not None
        return x.grad

    torch.testing.assert_close(gradient(17), gradient(SHORT + 1), rtol=2e-2, atol=2e-2)
