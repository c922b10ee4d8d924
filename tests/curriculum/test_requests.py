"""Which images are asked for."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uniemo.curriculum.requests import build_requests
from uniemo.curriculum.settings import PoolConfig
from uniemo.emotions import N_EMOTIONS


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 40),
    st.lists(st.floats(0.1, 3), min_size=1, max_size=4),
    st.integers(1, 64),
)
def test_every_image_is_asked_for_once_and_pools_get_their_share(n_images, shares, batch_size):
    pools = [PoolConfig(float(i), i + 1, share) for i, share in enumerate(shares)]
    requests = build_requests(n_images, pools, batch_size)
    assert [request.number for request in requests] == list(range(len(requests)))
    assert all(1 <= len(request.emotion) <= batch_size for request in requests)
    emotion = torch.cat([request.emotion for request in requests])
    index = torch.cat([request.image_index for request in requests])
    asked = sorted((emotion * n_images + index).tolist())
    assert asked == list(range(N_EMOTIONS * n_images))
    for i, share in enumerate(shares):
        own = [r for r in requests if r.guidance_scale == i]
        assert all(request.num_inference_steps == i + 1 for request in own)
        painted = sum(len(request.emotion) for request in own) / N_EMOTIONS
        assert abs(painted - share / sum(shares) * n_images) <= 1


def test_the_first_images_belong_to_the_first_pool():
    first, second = PoolConfig(2.0, 8, 1.0), PoolConfig(5.0, 20, 3.0)
    requests = build_requests(8, [first, second], batch_size=100)
    assert [sorted(set(r.image_index.tolist())) for r in requests] == [[0, 1], [2, 3, 4, 5, 6, 7]]
