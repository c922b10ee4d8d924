"""The published systems' files, against the method's equations written out by hand."""

import argparse
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from uniemo.batch import Features
from uniemo.config.model import ClipConfig, DiffusionConfig, ModelSettings
from uniemo.diffusion import SamplingConfig
from uniemo.emotions import EMOTIONS
from uniemo.errors import UserError
from uniemo.pipeline import UniEmoPipeline
from uniemo.pipeline.conversion import (
    convert_uniemo,
    published_settings,
    read_emogen_classifier,
    read_emogen_space,
)

D, W, E, PATCHES, QUERIES, HEADS, LAYERS = 32, 16, 16, 4, 3, 2, 3
ORDER = ("amusement", "excitement", "awe", "contentment", "fear", "disgust", "anger", "sadness")
State = dict[str, Tensor]


def draw(generator: torch.Generator, **shapes: tuple[int, ...]) -> State:
    return {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes.items()}


def linear(g: torch.Generator, name: str, n_out: int, n_in: int, bias: bool = True) -> State:
    shapes = {f"{name}.weight": (n_out, n_in)} | ({f"{name}.bias": (n_out,)} if bias else {})
    return draw(g, **shapes)


def norm(g: torch.Generator, name: str) -> State:
    state = draw(g, **{f"{name}.weight": (D,), f"{name}.bias": (D,)})
    state[f"{name}.weight"] += 1
    return state


def public_model(g: torch.Generator) -> State:
    """Return a state dict in the layout of the public code's CLIP with queries."""
    v = "visual."
    state = draw(
        g,
        **{
            f"{v}class_embedding": (D,),
            f"{v}positional_embedding": (PATCHES + 1, D),
            f"{v}proj": (D, E),
            f"{v}conv1.weight": (D, 3, 8, 8),
            f"{v}visual_query_scene.weight": (QUERIES, D),
            f"{v}visual_query_object.weight": (QUERIES, D),
            "visual_query_scene_proj": (D, E),
            "visual_query_object_proj": (D, E),
            "visual_query_scene_last_proj": (D, E),
            "logit_scale": (),
            "logit_scale_object": (),
            "token_embedding.weight": (5, 16),
        },
    )
    state |= norm(g, f"{v}ln_pre") | norm(g, f"{v}ln_post")
    for i in range(LAYERS):
        block = f"{v}transformer.resblocks.{i}"
        state |= norm(g, f"{block}.ln_1") | norm(g, f"{block}.ln_2")
        state |= draw(g, **{f"{block}.attn.in_proj_weight": (3 * D, D)})
        state |= draw(g, **{f"{block}.attn.in_proj_bias": (3 * D,)})
        state |= linear(g, f"{block}.attn.out_proj", D, D)
        state |= linear(g, f"{block}.mlp.c_fc", 4 * D, D)
        state |= linear(g, f"{block}.mlp.c_proj", D, 4 * D)
    for i in range(2):
        block = f"{v}transformer.visual_query_interact.{i}"
        state |= norm(g, f"{block}.norm") | draw(g, **{f"{block}.query_alpha": (D,)})
        layer = f"{block}.query_decoder.0"
        state |= norm(g, f"{layer}.norm1") | norm(g, f"{layer}.norm3")
        for name in ("q_proj", "k_proj", "v_proj"):
            state |= linear(g, f"{layer}.cross_attn.{name}", D, D, bias=False)
        state |= linear(g, f"{layer}.cross_attn.proj", D, D)
        state |= linear(g, f"{layer}.mlp.0", 4 * D, D) | linear(g, f"{layer}.mlp.3", D, 4 * D)
    return state


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of synthetic files in the layout of UniEmo's public code."""
    folder, g = tmp_path_factory.mktemp("public"), torch.Generator().manual_seed(7)
    checkpoint = {
        "model": public_model(g),
        "Emo_classifier": linear(g, "fc0", W, D) | linear(g, "fc1", 8, W),
        "epoch": 14,
        "max_accuracy": 85.3,
        "config": argparse.Namespace(seed=520),
    }
    torch.save(checkpoint, folder / "best.pth")
    for name in ("mapper", "mapper_scene", "mapper_object"):
        torch.save(linear(g, "mlp.0", D, D) | linear(g, "mlp.2", W, D), folder / f"{name}.pth")
    (folder / "UniEmo_space").mkdir()
    for emotion in EMOTIONS:
        for feature in ("cls_fea", "scene", "object"):
            for kind in ("mean", "std"):
                path = folder / f"UniEmo_space/{emotion}_{feature}_{kind}.pt"
                torch.save(torch.rand(D, generator=g), path)
    return folder


@pytest.fixture(scope="module")
def settings(tiny_files: dict[str, Path]) -> ModelSettings:
    return replace(
        published_settings(),
        clip=ClipConfig(f"local-dir:{tiny_files['clip']}", None),
        diffusion=DiffusionConfig(str(tiny_files["stable_diffusion"]), prompt="*"),
        sampling=SamplingConfig(num_inference_steps=2, guidance_scale=2.0),
    )


SCENES = {"beach": [0.1] * 8, "forest path": [0.0, 0.9, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0]}
OBJECTS = {"cat": [0.5, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0], "dog": [0.125] * 8}


# --- The method's equations -----------------------------------------------------------------------


def ln(state: State, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, (D,), state[f"{name}.weight"], state[f"{name}.bias"])


def fc(state: State, name: str, x: Tensor) -> Tensor:
    return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", torch.tensor(0.0))


def quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = []
    for one in range(HEADS):
        part = slice(one * D // HEADS, (one + 1) * D // HEADS)
        share = (q[..., part] @ k[..., part].transpose(-1, -2) * (D // HEADS) ** -0.5).softmax(-1)
        out.append(share @ v[..., part])
    return torch.cat(out, -1)


def layer(state: State, i: int, x: Tensor) -> Tensor:
    name = f"visual.transformer.resblocks.{i}"
    y = ln(state, f"{name}.ln_1", x)
    weight, bias = state[f"{name}.attn.in_proj_weight"], state[f"{name}.attn.in_proj_bias"]
    q, k, v = (y @ weight.T + bias).chunk(3, -1)
    x = x + fc(state, f"{name}.attn.out_proj", attend(q, k, v))
    y = quick_gelu(fc(state, f"{name}.mlp.c_fc", ln(state, f"{name}.ln_2", x)))
    return x + fc(state, f"{name}.mlp.c_proj", y)


def interact(state: State, i: int, queries: Tensor, tokens: Tensor) -> Tensor:
    name = f"visual.transformer.visual_query_interact.{i}"
    inner = f"{name}.query_decoder.0"
    q, x = ln(state, f"{inner}.norm1", queries), ln(state, f"{name}.norm", tokens)
    q, k, v = (
        fc(state, f"{inner}.cross_attn.{p}_proj", y) for p, y in (("q", q), ("k", x), ("v", x))
    )
    queries = queries + fc(state, f"{inner}.cross_attn.proj", attend(q, k, v))
    hidden = quick_gelu(fc(state, f"{inner}.mlp.0", ln(state, f"{inner}.norm3", queries)))
    return queries + fc(state, f"{inner}.mlp.3", hidden)


def chain(state: State, image: Tensor) -> Features:
    n, v = len(image), "visual."
    patches = F.conv2d(image, state[f"{v}conv1.weight"], stride=8).flatten(2).transpose(1, 2)
    x = torch.cat([state[f"{v}class_embedding"].expand(n, 1, -1), patches], 1)
    x = ln(state, f"{v}ln_pre", x + state[f"{v}positional_embedding"])
    scene, object_ = (state[f"{v}visual_query_{k}.weight"] for k in ("scene", "object"))
    x, scene = layer(state, 0, torch.cat([x, scene.expand(n, -1, -1)], 1)).split([5, QUERIES], 1)
    scene = interact(state, 0, scene, x)
    fs = scene.mean(1)
    x = torch.cat([x, scene, object_.expand(n, -1, -1)], 1)
    x, scene, object_ = layer(state, 1, x).split([5, QUERIES, QUERIES], 1)
    object_ = interact(state, 1, object_, x)
    fo = object_.mean(1)
    x = layer(state, 2, torch.cat([x, scene, object_], 1))
    return Features(ln(state, f"{v}ln_post", x[:, 0]), fs, fo)


def mapped(folder: Path, name: str, feature: Tensor) -> Tensor:
    state = torch.load(folder / f"{name}.pth", weights_only=True)
    return fc(state, "mlp.2", F.relu(fc(state, "mlp.0", feature)))


def fused(folder: Path, features: Features, emotion: int, text: Tensor, p: Tensor) -> Tensor:
    """c = me(fe) + alpha_s ms(fs) + alpha_o mo(fo), alpha by the mapped features."""
    e, s, o = (
        mapped(folder, name, feature)
        for name, feature in zip(("mapper", "mapper_scene", "mapper_object"), features, strict=True)
    )
    nearest = [F.cosine_similarity(m[:, None], text[None], dim=-1).argmax(1) for m in (s, o)]
    alpha = [p[name, emotion] for name in nearest]
    return e + alpha[0][:, None] * s + alpha[1][:, None] * o


# --- Tests ----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_converted_weights_compute_the_methods_equations(public, settings):
    model = convert_uniemo(public, settings, SCENES, OBJECTS)
    file = torch.load(public / "best.pth", weights_only=False)
    state, head = file["model"], file["Emo_classifier"]
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    features = chain(state, image)
    with torch.no_grad():
        read = model.read(image)
    for own, expected in zip(read.features, features, strict=True):
        torch.testing.assert_close(own, expected, atol=1e-4, rtol=1e-4)
    logits = fc(head, "fc1", F.relu(fc(head, "fc0", features.emotion)))
    torch.testing.assert_close(read.logits, logits, atol=1e-4, rtol=1e-4)
    scene = F.normalize(features.scene @ state["visual_query_scene_proj"], dim=1)
    torch.testing.assert_close(read.scene, scene, atol=1e-4, rtol=1e-4)
    names = [*SCENES, *OBJECTS]
    text = model.understanding.backbone.encode_names(names)
    p = torch.tensor([*SCENES.values(), *OBJECTS.values()])
    for emotion in (1, 4):
        expected = fused(public, features, emotion, text, p)
        with torch.no_grad():
            own = model.fuse(read, torch.full((4,), emotion)).word
        torch.testing.assert_close(own, expected, atol=1e-4, rtol=1e-4)


def test_features_are_drawn_from_the_published_gaussians(public, settings):
    model = convert_uniemo(public, settings)
    space = model.painter.space
    for i, emotion in enumerate(EMOTIONS):
        files = [public / f"UniEmo_space/{emotion}_{f}" for f in ("cls_fea", "scene", "object")]
        mean = torch.cat([torch.load(f"{file}_mean.pt") for file in files])
        std = torch.cat([torch.load(f"{file}_std.pt") for file in files])
        torch.testing.assert_close(space.moments.mean[i].float(), mean)
        torch.testing.assert_close(space.moments.std()[i].float(), std)


def test_a_converted_model_paints_and_is_saved(public, settings, tmp_path):
    pipe = UniEmoPipeline.of(convert_uniemo(public, settings, SCENES, OBJECTS))
    pipe.save_pretrained(tmp_path / "model")
    saved = UniEmoPipeline.from_pretrained(tmp_path / "model")
    images = [each("awe", output_type="pt").images for each in (pipe, saved)]
    torch.testing.assert_close(*images)


def test_emotions_in_another_order_are_put_into_this_one(public, settings):
    plain = convert_uniemo(public, settings, SCENES)
    other = convert_uniemo(public, settings, SCENES, order=ORDER)
    image = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        logits, moved = plain(image), other(image)
    for i, emotion in enumerate(EMOTIONS):
        torch.testing.assert_close(moved[:, i], logits[:, ORDER.index(emotion)])
    assert other.fusion.scene_base.correlation[1].tolist() == pytest.approx(
        [SCENES["forest path"][ORDER.index(emotion)] for emotion in EMOTIONS]
    )
    with pytest.raises(UserError, match="each of the emotions once"):
        convert_uniemo(public, settings, order=ORDER[1:])


def copy(public: Path, folder: Path) -> Path:
    return copytree(public, folder / "public")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: (f / "best.pth").unlink(), "holds no best.pth or VIT_query.pth"),
        (lambda f: (f / "best.pth").write_bytes(b"x"), "best.pth cannot be read"),
        (lambda f: torch.save({"model": {}}, f / "best.pth"), "holds no 'Emo_classifier'"),
        (
            lambda f: torch.save({"model": {}, "Emo_classifier": {}}, f / "best.pth"),
            "lacks visual.visual_query_scene.weight",
        ),
        (lambda f: (f / "mapper.pth").unlink(), "mapper.pth does not exist"),
        (
            lambda f: torch.save({"mlp.0.weight": torch.zeros(2, 2)}, f / "mapper.pth"),
            "MLP of two layers",
        ),
        (
            lambda f: torch.save(torch.zeros(3), f / "UniEmo_space/awe_scene_std.pt"),
            "differ in length",
        ),
        (lambda f: (f / "UniEmo_space/fear_object_mean.pt").unlink(), "does not exist"),
    ],
)
def test_files_of_another_layout_are_told_in_one_line(public, settings, tmp_path, change, words):
    folder = copy(public, tmp_path)
    change(folder)
    with pytest.raises(UserError) as caught:
        convert_uniemo(folder, settings)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_emogens_space_and_classifier_are_read(tmp_path):
    generator = torch.Generator().manual_seed(0)
    mean, std = (torch.rand(8, 768, generator=generator) for _ in range(2))
    for i, emotion in enumerate(EMOTIONS):
        torch.save(mean[i], tmp_path / f"{emotion}_mean_v2.pt")
        torch.save(std[i][None], tmp_path / f"{emotion}_std_v2.pt")
    own = read_emogen_space(tmp_path)
    torch.testing.assert_close(own, (mean, std))
    state = {"fc.weight": torch.randn(8, 768), "fc.bias": torch.randn(8)}
    torch.save(state, tmp_path / "classifier.pth")
    feature = torch.randn(5, 768)
    expected = feature @ state["fc.weight"].T + state["fc.bias"]
    classifier = read_emogen_classifier(tmp_path / "classifier.pth")
    torch.testing.assert_close(classifier(feature), expected)
    moved = read_emogen_classifier(tmp_path / "classifier.pth", ORDER)(feature)
    torch.testing.assert_close(moved, expected[:, [ORDER.index(e) for e in EMOTIONS]])
    torch.save({"fc.weight": torch.zeros(7, 768)}, tmp_path / "classifier.pth")
    with pytest.raises(UserError, match="eight rows"):
        read_emogen_classifier(tmp_path / "classifier.pth")
    (tmp_path / "awe_std_v2.pt").unlink()
    with pytest.raises(UserError, match="does not exist"):
        read_emogen_space(tmp_path)
