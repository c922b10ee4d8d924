"""What is exported does in other tools what it does here."""

from dataclasses import replace
from json import dumps, loads
from pathlib import Path
from shutil import copytree

import open_clip
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open
from safetensors.torch import load_file

from tests.tiny import trained_tiny_model
from uniemo.batch import Features
from uniemo.config.model import EmotionSpaceConfig
from uniemo.diffusion import image_generator, initial_noise
from uniemo.emotions import EMOTIONS
from uniemo.errors import UserError
from uniemo.pipeline import UniEmoPipeline
from uniemo.pipeline.exporting import (
    export_model,
    export_trained,
    mean_word,
    photo_word,
    typical_words,
    write_clip,
    write_word,
)


def plain_pipeline(folder: Path, pipe: UniEmoPipeline) -> StableDiffusionPipeline:
    """Return diffusers' own pipeline on the same Stable Diffusion."""
    plain = StableDiffusionPipeline.from_pretrained(
        folder,
        vae=pipe.vae,
        unet=pipe.unet,
        scheduler=type(pipe.scheduler).from_config(pipe.scheduler.config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        low_cpu_mem_usage=False,
    )
    plain.set_progress_bar_config(disable=True)
    return plain


@pytest.fixture
def diffusers_folder(tiny_files, tmp_path) -> Path:
    """The tiny Stable Diffusion with the index that plain diffusers needs."""
    folder = copytree(tiny_files["stable_diffusion"], tmp_path / "stable_diffusion")
    parts = {
        "vae": ["diffusers", "AutoencoderKL"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "scheduler": ["diffusers", "PNDMScheduler"],
    }
    index = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.35.0", **parts}
    (folder / "model_index.json").write_text(dumps(index))
    return folder


@pytest.mark.parametrize("prompt", ["a *", "dog of * cat"])
def test_plain_diffusers_paints_the_same_picture_with_the_word(
    pipe, diffusers_folder, tmp_path, prompt
):
    number = 1
    own = pipe("awe", num_images=2, prompt=prompt, output_type="np").images[number]
    write_word(tmp_path / "awe.safetensors", typical_words(pipe, "awe", 2)[number])
    plain = plain_pipeline(diffusers_folder, pipe)
    plain.load_textual_inversion(str(tmp_path / "awe.safetensors"), token="<awe>")
    noise = initial_noise(pipe.head, [image_generator(1, EMOTIONS.index("awe"), number)])
    sampling = pipe.emotion_model.settings.sampling
    (other,) = plain(
        prompt.replace("*", "<awe>"),
        latents=noise,
        guidance_scale=sampling.guidance_scale,
        num_inference_steps=sampling.num_inference_steps,
        height=8,
        width=8,
        output_type="np",
    ).images
    torch.testing.assert_close(torch.tensor(other), torch.tensor(own), atol=1e-5, rtol=0)


def test_the_file_is_one_tensor_of_one_word(pipe, tmp_path):
    write_word(tmp_path / "awe.safetensors", mean_word(pipe, "awe"))
    with safe_open(tmp_path / "awe.safetensors", "pt") as file:
        (name,) = file.keys()
        assert name == "emb_params"
        assert file.get_tensor(name).shape == (1, 16)
        assert file.get_tensor(name).dtype == torch.float32
    with pytest.raises(UserError, match="does not end in"):
        write_word(tmp_path / "awe.pt", torch.zeros(16))


def test_words_are_the_means_the_photos_and_the_pictures(pipe, trained, photo):
    mean = trained.painter.space.moments.mean[1].float()
    features = [part[None] for part in mean.chunk(3)]
    word = trained.painter.fuse_features(Features(*features), torch.tensor([1])).word[0]
    torch.testing.assert_close(mean_word(pipe, "awe"), word.detach())
    torch.testing.assert_close(photo_word(pipe, photo), pipe(image=photo).words[0])
    torch.testing.assert_close(photo_word(pipe, photo, "fear"), pipe("fear", image=photo).words[0])
    torch.testing.assert_close(
        typical_words(pipe, "fear", 3, seed=4), pipe("fear", num_images=3, seed=4).words
    )


def test_open_clip_loads_the_exported_clip(pipe, trained, tmp_path):
    export_model(pipe, tmp_path / "model")
    source = f"local-dir:{tmp_path / 'model/open_clip'}"
    clip = open_clip.create_model(source)
    visual = trained.understanding.chain.visual
    image = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(clip.encode_image(image), visual(image))
        tokens = open_clip.get_tokenizer(source)(["a cat", "dog"])
        expected = trained.understanding.backbone.model.encode_text(tokens)
        torch.testing.assert_close(clip.encode_text(tokens), expected)
    assert clip.visual.preprocess_cfg["mean"] == visual.preprocess_cfg["mean"]
    saved = load_file(tmp_path / "model/open_clip/open_clip_model.safetensors")
    assert saved.keys() == trained.understanding.backbone.model.state_dict().keys()


def test_the_exported_model_paints_but_is_not_exported_again(pipe, tmp_path):
    export_model(pipe, tmp_path / "model")
    again = UniEmoPipeline.from_pretrained(tmp_path / "model")
    images = [each("awe", output_type="pt").images for each in (again, pipe)]
    torch.testing.assert_close(*images)
    with pytest.raises(UserError, match="no text tower"):
        export_model(again, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    with pytest.raises(UserError, match="exists"):
        export_model(pipe, tmp_path / "model")


def test_what_was_trained_alone_is_small_and_reads_and_paints_the_same(pipe, photo, tmp_path):
    export_trained(pipe, tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "README.md",
        "emotion_model",
        "model_index.json",
    }
    again = UniEmoPipeline.from_pretrained(tmp_path / "model")
    again.set_progress_bar_config(disable=True)
    assert {t.dtype for t in again.emotion_model.parameters()} == {torch.float32}
    moments = pipe.emotion_model.space.moments
    torch.testing.assert_close(again.emotion_model.space.moments.mean, moments.mean, rtol=0, atol=0)
    images = [each("awe", num_images=2, output_type="pt").images for each in (again, pipe)]
    torch.testing.assert_close(*images, rtol=0, atol=0.01)
    readings = [list(each.read(photo)[0].probabilities.values()) for each in (again, pipe)]
    assert readings[0] == pytest.approx(readings[1], abs=0.005)


def test_fewer_stored_features_are_those_of_a_training_that_stored_fewer(tmp_path, tiny_files):
    two, one = (
        trained_tiny_model(tiny_files, EmotionSpaceConfig("stored", capacity=n)) for n in (2, 1)
    )
    pipe, smaller = UniEmoPipeline.of(two), one.painter.space.reservoir
    export_trained(pipe, tmp_path / "model", 1)
    again = UniEmoPipeline.from_pretrained(tmp_path / "model").emotion_model
    assert again.settings.space.capacity == 1
    torch.testing.assert_close(again.space.reservoir.rows, smaller.rows, rtol=0, atol=0.01)
    assert again.space.reservoir.priority.equal(smaller.priority)
    with pytest.raises(UserError, match="does not store 3 features"):
        export_trained(pipe, tmp_path / "more", 3)


def test_what_was_trained_alone_refuses_another_stable_diffusion(pipe, tmp_path):
    export_trained(pipe, tmp_path / "model")
    config = tmp_path / "model/emotion_model/config.json"
    config.write_text(dumps(loads(config.read_text()) | {"diffusion_digest": "another"}))
    with pytest.raises(UserError, match="another Stable Diffusion"):
        UniEmoPipeline.from_pretrained(tmp_path / "model")


def test_clips_own_tokenizer_needs_no_files(trained, tmp_path):
    """Without an ``hf_tokenizer_name`` open_clip uses the tokenizer that it brings along."""
    backbone = trained.understanding.backbone
    config = {**backbone.config, "text_cfg": {"context_length": 12}}
    write_clip(tmp_path / "clip", replace(backbone, config=config))
    names = {path.name for path in (tmp_path / "clip").iterdir()}
    assert names == {"open_clip_config.json", "open_clip_model.safetensors"}
