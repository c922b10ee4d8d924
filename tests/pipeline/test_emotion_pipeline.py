"""The pipeline paints what `generate` paints, and every dial does what it says."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from PIL import Image
from torch import Tensor

from uniemo.diffusion import image_generator, sample
from uniemo.emotions import EMOTIONS
from uniemo.errors import UserError
from uniemo.pipeline import UniEmoPipeline
from uniemo.pipeline.photos import photo_squares
from uniemo.pipeline.picture_request import PictureRequest
from uniemo.pipeline.words import drawn_words, mean_words, neutral_word

AWE, FEAR, SADNESS = (EMOTIONS.index(name) for name in ("awe", "fear", "sadness"))


def pixels(pipe: UniEmoPipeline, *arguments, **how) -> Tensor:
    return pipe(*arguments, output_type="pt", **how).images


# --- The same pictures ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 5])
def test_pictures_are_those_of_generate(pipe, trained, monkeypatch, seed):
    monkeypatch.setattr(trained.painter, "seed", seed)
    emotion, index = torch.full((10,), AWE), torch.arange(10)  # more than one batch of 8
    expected, condition = trained.painter.generate(emotion, index)
    output = pipe("awe", num_images=10, seed=seed)
    grey = (expected * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    for picture, own in zip(output.images, grey, strict=True):
        assert np.abs(np.asarray(picture, int) - own).max() <= 1
    torch.testing.assert_close(output.words, condition.word)
    torch.testing.assert_close(torch.tensor(output.scene_coefficients), condition.alpha_scene)
    names = [*trained.fusion.scene_names, None]
    assert output.scenes == [names[i] for i in condition.scene.tolist()]


def test_without_a_seed_it_is_the_runs(pipe):
    assert torch.equal(pixels(pipe, "awe"), pixels(pipe, "awe", seed=0))
    assert not torch.equal(pixels(pipe, "awe"), pixels(pipe, "awe", seed=1))


def test_a_saved_pipeline_needs_no_source_and_paints_the_same(pipe, tmp_path, photo):
    pipe.save_pretrained(tmp_path / "model")
    saved = UniEmoPipeline.from_pretrained(tmp_path / "model")
    assert isinstance(saved, DiffusionPipeline)
    pictures = [pixels(each, "fear", num_images=2) for each in (saved, pipe)]
    torch.testing.assert_close(*pictures)
    assert saved.read(photo)[0].probabilities == pytest.approx(pipe.read(photo)[0].probabilities)
    config = (tmp_path / "model/emotion_model/config.json").read_text()
    assert "coast" in config
    with pytest.raises(UserError, match="exists"):
        pipe.save_pretrained(tmp_path / "model")


@pytest.mark.parametrize("place", ["", "joint", "joint/best.ckpt"])
def test_runs_phases_and_checkpoints_are_found(run, pipe, place):
    found = UniEmoPipeline.from_pretrained(run / place)
    torch.testing.assert_close(pixels(found, "awe"), pixels(pipe, "awe"))


def test_two_calls_at_once_paint_what_each_paints_alone(pipe):
    alone = [pixels(pipe, emotion, num_images=2) for emotion in ("awe", "fear")]
    with ThreadPoolExecutor(2) as threads:
        both = threads.map(lambda emotion: pixels(pipe, emotion, num_images=2), ("awe", "fear"))
    for one, other in zip(alone, both, strict=True):
        torch.testing.assert_close(one, other)


# --- Words ----------------------------------------------------------------------------------------


def test_a_blend_is_the_weighted_sum_of_words(pipe):
    awe, fear = pipe("awe", num_images=2), pipe("fear", num_images=2)
    blend = pipe({"fear": 0.4, "awe": 0.6}, num_images=2)
    torch.testing.assert_close(blend.words, 0.6 * awe.words + 0.4 * fear.words)
    assert blend.scenes == awe.scenes
    assert torch.equal(pixels(pipe, {"awe": 1.0, "fear": 0.0}), pixels(pipe, "awe"))


def test_intensity_moves_from_one_neutral_word_through_the_emotion(pipe):
    painter = pipe.painter()
    neutral = neutral_word(painter)
    torch.testing.assert_close(neutral[0], mean_words(painter).word.mean(0))
    condition = drawn_words(painter, {AWE: 1.0}, torch.arange(2), 1)
    start, end = (pipe.head.condition(word, "a *") for word in (neutral, condition.word))
    for t in (0.0, 0.5, 1.0, 2.0):
        request = PictureRequest(painter, condition, [], painter.sampling, None, t, None)
        expected = (1 - t) * start + t * end
        torch.testing.assert_close(request.states(pipe.head, "a *"), expected)
    assert not torch.equal(pixels(pipe, "awe", intensity=0.5), pixels(pipe, "awe"))


def test_a_photo_is_painted_from_its_own_features(pipe, trained, photo):
    view = pipe._clip_view([photo])
    with torch.no_grad():
        read = trained.read(view)
    emotion = read.logits.argmax(1)
    output = pipe(image=photo, num_images=2)
    word = trained.fuse(read, emotion).word
    torch.testing.assert_close(output.words, word.expand(2, -1).detach())
    fear = trained.fuse(read, torch.tensor([FEAR])).word
    torch.testing.assert_close(pipe("fear", image=photo).words, fear.detach())


def test_the_word_stands_at_the_star(pipe, trained):
    word = pipe("awe").words
    generator = image_generator(1, AWE, 0)
    states = trained.head.condition(word, "dog of * cat")
    expected = sample(trained.head, states, [generator], trained.painter.sampling)
    torch.testing.assert_close(pixels(pipe, "awe", prompt="dog of * cat"), expected)


# --- Denoising, written by hand -------------------------------------------------------------------


def by_hand(pipe, latents, states, away, scheduler, timesteps, scale):
    with torch.no_grad():
        for t in timesteps:
            without = pipe.unet(latents, t, away).sample
            given = pipe.unet(latents, t, states).sample
            latents = scheduler.step(without + scale * (given - without), t, latents).prev_sample
    return latents


def ddim(pipe: UniEmoPipeline, steps: int) -> DDIMScheduler:
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    scheduler.set_timesteps(steps)
    return scheduler


def test_negative_takes_the_place_of_the_empty_prompt(pipe):
    scheduler = ddim(pipe, 3)
    word, away = pipe("awe").words, mean_words(pipe.painter()).word[SADNESS][None]
    noise = torch.randn(1, 4, 4, 4, generator=image_generator(1, AWE, 0))
    states = pipe.head.condition(word, "a *"), pipe.head.condition(away, "a *")
    expected = by_hand(pipe, noise, *states, scheduler, scheduler.timesteps, 3.0)
    how = {"negative": "sadness", "guidance_scale": 3.0, "num_inference_steps": 3}
    latents = pipe("awe", output_type="latent", **how).images
    torch.testing.assert_close(latents, expected)


def test_an_edit_starts_from_the_noised_photo(pipe, photo):
    scheduler = ddim(pipe, 4)
    word, away = pipe("fear").words, pipe.head.prompts.encode([""])
    noise = torch.randn(1, 4, 4, 4, generator=image_generator(1, FEAR, 0))
    latent = pipe.head.encode(photo_squares([photo], 8) * 2 - 1)
    timesteps = scheduler.timesteps[1:]  # three of four
    start = scheduler.add_noise(latent, noise, timesteps[:1])
    states = pipe.head.condition(word, "a *")
    expected = by_hand(pipe, start, states, away, scheduler, timesteps, 2.0)
    how = {"num_inference_steps": 4, "output_type": "latent", "intensity": 1.0}
    torch.testing.assert_close(pipe.edit(photo, "fear", 0.75, **how).images, expected)


def test_an_edits_intensity_begins_at_the_photos_own_word(pipe, photo):
    painter, own = pipe.painter(), pipe(image=photo).words
    condition = drawn_words(painter, {FEAR: 1.0}, torch.arange(1), 1)
    request = PictureRequest(painter, condition, [], painter.sampling, None, 0.0, None, own)
    torch.testing.assert_close(request.states(pipe.head, "a *"), pipe.head.condition(own, "a *"))


def test_the_runs_scheduler_edits_too(pipe, photo):
    output = pipe.edit(photo, "fear", 0.5, num_images=3, num_inference_steps=4)
    assert [picture.size for picture in output.images] == [(8, 8)] * 3


# --- What diffusers' pipelines can do -------------------------------------------------------------


@pytest.mark.parametrize("name", ["EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler"])
def test_schedulers_can_be_swapped(pipe, photo, name):
    before = pixels(pipe, "awe")
    kind = next(s for s in pipe.scheduler.compatibles if s.__name__ == name)
    pipe.scheduler = kind.from_config(pipe.scheduler.config)
    after = pixels(pipe, "awe", num_inference_steps=4)
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)
    pipe.edit(photo, "fear", 0.5, num_inference_steps=4)


def test_callbacks_see_every_step_and_may_change_it(pipe):
    seen = []

    def callback(pipeline, step, timestep, tensors):
        assert pipeline is pipe
        seen.append((step, timestep, tensors["latents"].shape))
        return {"latents": torch.zeros_like(tensors["latents"])} if step == 2 else {}

    latents = pipe(
        "awe", num_inference_steps=3, output_type="latent", callback_on_step_end=callback
    ).images
    assert [step for step, *_ in seen] == [0, 1, 2]
    assert seen[0][1] > seen[1][1] > seen[2][1]
    assert seen[0][2] == (1, 4, 4, 4)
    assert not latents.any()


def test_a_callback_can_stop(pipe):
    class Stopped(Exception):
        pass

    def callback(*_):
        raise Stopped

    with pytest.raises(Stopped):
        pipe("awe", callback_on_step_end=callback)


def test_output_types_show_the_same_picture(pipe):
    pil, array = pipe("awe").images[0], pipe("awe", output_type="np").images[0]
    tensor = pixels(pipe, "awe")[0]
    assert pil.size == (8, 8)
    np.testing.assert_array_equal(np.asarray(pil), (array * 255).round())
    np.testing.assert_array_equal(tensor.permute(1, 2, 0).numpy(), array)


def test_a_progress_bar_counts_the_steps(run, capfd):
    pipe = UniEmoPipeline.from_pretrained(run)
    pipe("awe", num_images=9, num_inference_steps=3)  # two batches
    assert "6/6" in capfd.readouterr().err


def test_half_precision_is_of_the_diffusion_parts_alone(pipe, run, tmp_path):
    exact = pixels(pipe, "awe")
    pipe.to(torch.bfloat16)
    assert pipe.unet.dtype == torch.bfloat16
    assert pipe.emotion_model.fusion.word_mean.dtype == torch.float32
    assert pipe.emotion_model.space.moments.mean.dtype == torch.float64
    assert (pixels(pipe, "awe") - exact).abs().max() < 0.2
    UniEmoPipeline.from_pretrained(run).save_pretrained(tmp_path / "model")
    loaded = UniEmoPipeline.from_pretrained(tmp_path / "model", dtype=torch.bfloat16)
    assert loaded.unet.dtype == torch.bfloat16
    assert loaded.emotion_model.fusion.word_mean.dtype == torch.float32
    torch.testing.assert_close(pixels(loaded, "awe"), pixels(pipe, "awe"))


@pytest.mark.gpu
def test_on_a_gpu_it_paints_the_same(pipe, photo, gpu):
    here, read = pixels(pipe, "awe"), pipe.read(photo)[0].probabilities
    pipe.to(gpu)
    assert (pixels(pipe, "awe").cpu() - here).abs().max() < 0.05
    assert pipe.read(photo)[0].probabilities == pytest.approx(read, abs=1e-3)
    pipe.edit(photo, "fear", 0.5)


# --- Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"emotion": "ave"}, "did you mean 'awe'"),
        ({"emotion": "xyzzy"}, "choose one of amusement"),
        ({"emotion": 3}, "dictionary of weights"),
        ({"emotion": {"awe": 0.6, "fear": 0.6}}, "sum to 1.2"),
        ({"emotion": {"awe": 1.5, "fear": -0.5}}, "weight of fear is -0.5"),
        ({"emotion": {"awe": float("nan")}}, "weight of awe is nan"),
        ({"emotion": {}}, "sum to 0"),
        ({}, "nothing to paint"),
        ({"prompt": "a photo of a house"}, "lacks the placeholder"),
        ({"prompt": "* " * 30}, "shorten it"),
        ({"num_images": 0}, "num_images is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"intensity": 2.5}, "intensity is 2.5"),
        ({"intensity": float("nan")}, "intensity is nan"),
        ({"negative": "sad"}, "did you mean 'sadness'"),
        ({"negative": "sadness", "guidance_scale": 1}, "no effect"),
        ({"guidance_scale": float("inf")}, "guidance_scale is inf"),
        ({"num_inference_steps": 0}, "num_inference_steps is 0"),
        ({"draws": 0}, "draws is 0"),
        ({"output_type": "jpg"}, "output_type is 'jpg'"),
        ({"image": "nothing.jpg"}, "nothing.jpg does not exist"),
    ],
)
def test_bad_wishes_are_told_in_one_line(pipe, arguments, words):
    if arguments and "emotion" not in arguments:
        arguments = {"emotion": "awe", **arguments}
    with pytest.raises(UserError) as caught:
        pipe(**arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("strength", [0, 1.5, float("nan")])
def test_a_bad_strength_is_told(pipe, photo, strength):
    with pytest.raises(UserError, match="strength is"):
        pipe.edit(photo, "awe", strength)


def test_a_model_without_emotion_space_reads_but_does_not_paint(trained, pipe, photo):
    trained = UniEmoPipeline.of(trained)
    state = trained.emotion_model.space.moments.count.clone()
    trained.emotion_model.space.moments.count.zero_()
    try:
        assert trained.read(photo)
        assert trained(image=photo).images
        with pytest.raises(UserError, match="no emotion space"):
            trained("awe")
    finally:
        trained.emotion_model.space.moments.count.copy_(state)


def test_a_model_without_diffusion_parts_reads_but_does_not_paint(pipe, photo, tmp_path):
    UniEmoPipeline(pipe.emotion_model).save_pretrained(tmp_path / "reader")
    reader = UniEmoPipeline.from_pretrained(tmp_path / "reader")
    assert reader.read(photo)[0].probabilities == pytest.approx(pipe.read(photo)[0].probabilities)
    for paint in (lambda: reader("awe"), lambda: reader.edit(photo, "awe")):
        with pytest.raises(UserError, match="only reads"):
            paint()


def test_pictures_can_be_painted_from_what_was_painted(pipe):
    picture = pipe("awe").images[0]
    assert isinstance(picture, Image.Image)
    assert pipe(image=picture).images
