import json

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from uniemo.errors import UserError
from uniemo.understanding import UnderstandingChain, load_clip


@pytest.fixture
def folder(tmp_path, make_clip, clip_config):
    """A CLIP in open_clip's own folder format."""
    save_file(make_clip().state_dict(), tmp_path / "open_clip_model.safetensors")
    preprocess = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    config = {"model_cfg": clip_config, "preprocess_cfg": preprocess}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    return tmp_path


def test_a_local_folder_loads_with_its_own_statistics(folder, make_clip, image):
    backbone = load_clip(f"local-dir:{folder}")
    assert (backbone.image_size, backbone.mean) == (32, (0.1, 0.2, 0.3))
    assert backbone.std == (0.4, 0.5, 0.6)
    with torch.no_grad():
        expected = make_clip().encode_image(image)
        torch.testing.assert_close(backbone.model.eval().encode_image(image), expected)


def test_only_the_vision_tower_can_be_trained(folder):
    clip = load_clip(f"local-dir:{folder}").model
    for name, parameter in clip.named_parameters():
        assert parameter.requires_grad == name.startswith("visual."), name


def test_encoded_names_are_unit_text_features_of_readable_names(folder):
    backbone = load_clip(f"local-dir:{folder}")
    features = backbone.encode_names(["bakery/shop", "Alarm clock", "jail_cell"], "a {}")
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(
        ["a bakery shop", "a alarm clock", "a jail cell"]
    )
    with torch.no_grad():
        expected = backbone.model.encode_text(tokens, normalize=True)
    torch.testing.assert_close(features, expected)
    np.testing.assert_allclose(features.norm(dim=1), 1, rtol=1e-5)
    assert not features.requires_grad
    with pytest.raises(ValueError, match="template"):
        backbone.encode_names(["a"], "no place")
    with pytest.raises(ValueError, match="empty"):
        backbone.encode_names([])


def test_a_folders_own_tokenizer_is_read_from_the_folder(folder):
    from transformers import CLIPTokenizer

    letters = [*"abcdefghijklmnopqrstuvwxyz"]
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = [*words, "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"]["text_cfg"] |= {"vocab_size": len(vocabulary), "hf_tokenizer_name": "own"}
    path.write_text(json.dumps(config))
    clip = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    save_file(clip.state_dict(), folder / "open_clip_model.safetensors")
    backbone = load_clip(f"local-dir:{folder}")
    assert int(backbone.tokenizer(["ab"]).max()) == len(vocabulary) - 1
    assert backbone.encode_names(["a_b", "C"]).shape == (2, 32)

    del config["model_cfg"]["text_cfg"]["hf_tokenizer_name"]  # then CLIP's large one is taken
    path.write_text(json.dumps(config))
    with pytest.raises(UserError, match="hf_tokenizer_name"):
        load_clip(f"local-dir:{folder}")


@pytest.mark.parametrize(
    ("model", "pretrained", "message"),
    [
        ("ViT-L-14", "openai", "use model 'ViT-L-14-quickgelu'"),
        ("ViT-L-14-quickgelu", "laion400m_e31", "not a known tag"),
        ("ViT-B-32", "metaclip_400m", "use model 'ViT-B-32-quickgelu'"),
        ("ViT-L-14-quickgelu", None, "has no weights"),
        ("ViT-L-14-quikgelu", "openai", "did you mean 'ViT-L-14-quickgelu'"),
        ("ViT-L-14-quickgelu", "/nowhere.safetensors", "hf-hub:owner/name"),
        ("local-dir:/nowhere", None, "not found"),
        ("local-dir:/nowhere", "openai", "remove pretrained"),
    ],
)
def test_what_is_missing_is_told_in_one_line(model, pretrained, message):
    with pytest.raises(UserError, match=message) as caught:
        load_clip(model, pretrained)
    assert "\n" not in str(caught.value)


def test_every_tag_of_open_clip_names_a_model_that_fits_it():
    for model, tag in open_clip.list_pretrained():
        config = open_clip.get_model_config(model)
        wanted = open_clip.get_pretrained_cfg(model, tag).get("quick_gelu", False)
        if wanted and not config.get("quick_gelu", False):
            assert f"{model}-quickgelu" in open_clip.list_models()


def test_a_folder_without_weights_is_refused(folder):
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(UserError, match="could not be loaded"):
        load_clip(f"local-dir:{folder}")


def test_paper_scale_takes_no_memory_and_has_the_papers_widths():
    with torch.device("meta"):
        backbone = load_clip("ViT-L-14-quickgelu", load_weights=False)
        chain = UnderstandingChain(backbone.model.visual)
        features = chain(torch.empty(2, 3, 224, 224))
    assert all(parameter.is_meta for parameter in chain.parameters())
    assert [tuple(feature.shape) for feature in features] == [(2, 1024)] * 3
    assert sum(p.numel() for p in chain.visual.parameters()) == 303_966_208
    width = 1024
    one_set = 32 * width + 12 * width**2 + 12 * width  # queries, then the block's weights
    for queries in (chain.scene_queries, chain.object_queries):
        assert sum(p.numel() for p in queries.parameters()) == one_set == 12_627_968
        assert queries.block.n_heads == 16
