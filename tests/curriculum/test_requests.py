"""Which images are asked for."""

from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uniemo.config.curriculum import PoolConfig
from uniemo.curriculum.image_writer import prepare_folder
from uniemo.curriculum.requests import Requests, build_requests
from uniemo.emotions import N_EMOTIONS


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 40),
    st.lists(st.floats(0.1, 3), min_size=1, max_size=4),
    st.integers(1, 64),
)
def test_every_image_is_asked_for_once_and_pools_get_their_share(n_images, shares, batch_size):
    pools = [PoolConfig(float(i), i + 1, share) for i, share in enumerate(shares)]
    requests = build_requests(N_EMOTIONS, n_images, pools, batch_size)
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
    requests = build_requests(N_EMOTIONS, 8, [first, second], batch_size=100)
    assert [sorted(set(r.image_index.tolist())) for r in requests] == [[0, 1], [2, 3, 4, 5, 6, 7]]


def test_images_of_the_same_order_stay_and_those_of_another_go(tmp_path: Path):
    folder = tmp_path / "generate"
    prepare_folder(folder, {"seed": 0})
    image = folder / "painted/0.png"
    image.parent.mkdir()
    image.touch()
    prepare_folder(folder, {"seed": 0})
    assert image.is_file()
    prepare_folder(folder, {"seed": 1})
    assert [path.name for path in folder.iterdir()] == ["request.json"]


def test_the_folder_is_cleared_where_lightning_lets_one_process_do_it(tmp_path: Path):
    cleared: list[bool] = []
    requests = Requests([], tmp_path, lambda: cleared.append(True))
    assert not cleared
    assert not requests.prepare_data_per_node
    requests.prepare_data()
    assert cleared == [True]
