import numpy as np
import torch

from uniemo.understanding import AttributeProjection, EmotionHead


def test_emotion_head_is_linear_relu_linear_and_reads_conditions_with_its_last_layer():
    torch.manual_seed(0)
    head = EmotionHead(6, 4).eval()
    feature, condition = torch.randn(3, 6), torch.randn(3, 4)
    weights = {name: p.detach().numpy() for name, p in head.named_parameters()}
    hidden = feature.numpy() @ weights["hidden.weight"].T + weights["hidden.bias"]

    def output(x):
        return x @ weights["output.weight"].T + weights["output.bias"]

    with torch.no_grad():
        np.testing.assert_allclose(head(feature), output(np.maximum(hidden, 0)), atol=1e-6)
        np.testing.assert_allclose(head.read(condition), output(condition.numpy()), atol=1e-6)
    assert head(feature).shape == (3, 8)


def test_emotion_head_drops_only_in_training():
    head = EmotionHead(6, 64)
    feature = torch.randn(1, 6)
    assert not torch.equal(head(feature), head(feature))
    head.eval()
    assert torch.equal(head(feature), head(feature))


def test_projection_has_unit_length_whatever_the_size_of_the_feature():
    projection = AttributeProjection(6, 4)
    feature = torch.randn(3, 6)
    small, large = projection(feature), projection(100 * feature)
    torch.testing.assert_close(small.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(small, large, atol=1e-3, rtol=1e-3)
