"""Documents say what is: commands, flags, keys, Python, names of code, files and links.

Every command in README, CONTRIBUTING and the guides is checked against the Makefile, the command
line's own help and the configuration parser. What would take minutes is not run here: `pip` and
`uv` are checked against setup.cfg, trainings against the parser.
"""

import ast
import configparser
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from itertools import pairwise
from pathlib import Path
from shutil import copyfile
from unittest import mock

import pytest
import torch
import yaml

from tests.commands import ROOT, leave
from tests.config.test_experiments import all_keys
from tests.conftest import settings
from uniemo.benchmark.__main__ import argument_parser
from uniemo.cli.commands import COMMANDS, LIGHTNING, PICTURES

SITE = sorted((ROOT / "docs").rglob("*.md"))
GUIDES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs/guides").glob("*.md")),
]
DOCUMENTS = [*ROOT.glob("*.md"), *SITE, ROOT / "src/uniemo/backbones/weights/CARD.md"]
# Files that a guide lets the reader write.
EXAMPLES = {"src/uniemo/study/claims/guidance_scale.py"}
OWN = re.compile(r"/data/|/weights/|my-|some-|emogen-")  # files and folders of the reader's own
SHIPPED = {path.name: path for path in (ROOT / "experiments").glob("*.yaml")}

by_name = {"ids": lambda path: str(path.relative_to(ROOT))}


def blocks(path: Path, language: str) -> list[str]:
    """Return the fenced code blocks of a document in one language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", path.read_text("utf-8"), re.M | re.S)


def prose(path: Path) -> str:
    """Return a document without its fenced code blocks."""
    return re.sub(r"^ *```.*?^ *```", "", path.read_text("utf-8"), flags=re.M | re.S)


def spans(path: Path) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`\n]+)`", prose(path))


# --- Commands -------------------------------------------------------------------------------------


def commands(path: Path) -> Iterator[list[str]]:
    """Yield every command of a document as words, from blocks and from the text."""
    lines = [line for block in blocks(path, "bash") for line in joined(block).splitlines()]
    lines += [s for s in spans(path) if re.match(r"(make|uniemo|lightning|pip|uv) [\w-]", s)]
    for line in lines:
        if words := shlex.split(line, comments=True):
            yield words


def joined(block: str) -> str:
    return block.replace("\\\n", " ")


def flags_of(words: list[str]) -> list[str]:
    """Return every ``--key value`` of a command, those in make's ARGS too."""
    inner = [word.partition("=")[2] for word in words if word.startswith("ARGS=")]
    return [*words, *(part for text in inner for part in shlex.split(text))]


@cache
def makefile() -> str:
    return (ROOT / "Makefile").read_text("utf-8")


def check_make(words: list[str]) -> None:
    for word in words:
        name, assigned, value = word.partition("=")
        if assigned:
            assert re.search(rf"^{name} *[?:]=|\$\({name}\)", makefile(), re.M), word
            if name == "EXPERIMENT" and not OWN.search(value):
                assert (ROOT / value).is_file(), word
            if name == "ARGS" and not value.startswith("-"):
                assert (ROOT / value).exists(), word
        elif word != "PHASE=…":
            assert re.search(rf"^{word}:", makefile(), re.M), f"make has no target {word}"


def check_uniemo(words: list[str]) -> None:
    assert words[0] in (*LIGHTNING, *COMMANDS, "COMMAND"), words
    files = [after for word, after in pairwise(words) if word in CONFIG_FLAGS]
    for file in files:
        assert OWN.search(file) or (ROOT / file).is_file() or file in SHIPPED, file
    if words[:2] == ["configs", "copy"]:
        assert f"{words[2]}.yaml" in SHIPPED, words


CONFIG_FLAGS = ("-c", "--config", "--experiment")


def check_install(words: list[str]) -> None:
    assert words[0] == "install", words
    assert "-c" not in words or (ROOT / words[words.index("-c") + 1]).is_file(), words
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for extras in re.findall(r"\[([\w,]+)\]", " ".join(words)):
        for extra in extras.split(","):
            assert extra in config["options.extras_require"], extra


@pytest.mark.parametrize("path", GUIDES, **by_name)
def test_commands_exist(path):
    for program, *words in commands(path):
        match program:
            case "make":
                check_make(words)
            case "uniemo" | "lightning":
                check_uniemo(words)
            case "pip":
                check_install(words)
            case "uv":
                assert words.pop(0) == "pip"
                check_install(words)
            case _:
                pytest.fail(f"nothing checks {program} {' '.join(words)}")


@pytest.fixture(scope="module")
def own_flags() -> set[str]:
    """The flags of the commands themselves, as their help names them."""
    printed = StringIO()
    with redirect_stdout(printed):
        for command in ("train", "eval", "ablate", *PICTURES, "dials", "play"):
            leave(command, "--help")
        for command in ("word", "model", "published", "judge"):
            leave("export", command, "--help")
        for command in ("emoscenes", "resize", "merge", "annotate", "check"):
            leave("data", command, "--help")
    printed.write(argument_parser().format_help())
    return {*re.findall(r"--[\w-]+", printed.getvalue()), "--config", "--print_config"}


@pytest.fixture(scope="module")
def configuration(own_flags) -> dict:
    """The paper-scale configuration, parsed with every configuration flag of every document."""
    given: list[str] = []
    for path in GUIDES:
        for program, *words in commands(path):
            if program in ("make", "uniemo", "lightning"):
                words = flags_of(words)
                for flag, value in zip(words, [*words[1:], ""], strict=True):
                    if flag.startswith("--") and flag not in own_flags:
                        given += [flag, value]
    printed, errors = StringIO(), StringIO()
    with redirect_stdout(printed), redirect_stderr(errors):
        leave("fit", "-c", str(ROOT / "experiments/emoset.yaml"), *given, "--print_config")
    assert printed.getvalue(), errors.getvalue()
    return yaml.safe_load(printed.getvalue())


@pytest.mark.filterwarnings("ignore")
def test_flags_and_keys_are_those_of_the_configuration(configuration):
    keys = {key.replace("data.init_args.generated", "finetune") for key in all_keys(configuration)}
    named = re.compile(r"(?:model|generate|finetune|eval|trainer|data)\.[\w.]*\w(?=$|[: =])")
    for path in DOCUMENTS:
        for span in spans(path):
            if (found := named.match(span)) and "(" not in span:
                assert found[0] in keys, f"{path.name}: {found[0]}"


# --- Python ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if blocks(p, "python")], **by_name)
def test_python_compiles_and_imports_resolve(path):
    for block in blocks(path, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                for name in node.names:
                    assert hasattr(module, name.name), f"{node.module} has no {name.name}"
            elif isinstance(node, ast.Import):
                for name in node.names:
                    importlib.import_module(name.name)


def defined(guide: str) -> dict:
    """Run the first Python block of a guide; return what it defines."""
    names: dict = {}
    exec(blocks(ROOT / "docs/guides" / guide, "python")[0], names)
    return names


def test_the_metric_of_the_guide_works():
    metric = defined("adding-a-metric.md")["FeatureNorm"](3)
    features = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 1.0]])
    metric.update(features, torch.tensor([0, 1]))
    assert metric.compute()["norm"] == 3


def test_the_emotion_space_of_the_guide_draws():
    from uniemo.batch import Features

    space = defined("adding-an-emotion-space.md")["NarrowGaussian"](2, width=0.0)
    rows, emotion = torch.arange(48.0).view(8, 6), torch.zeros(8, dtype=torch.long)
    space.update(Features(*rows.chunk(3, 1)), emotion, torch.arange(8))
    space.synchronise()
    drawn = space.sample(emotion[:1], [torch.Generator()])
    torch.testing.assert_close(torch.cat(drawn, 1)[0], rows.mean(0))


def test_the_filter_criterion_of_the_guide_is_a_margin():
    margins = defined("adding-a-filter-criterion.md")["confidence_margins"]
    logits = torch.tensor([[2.0, 2.0], [9.0, -9.0]])
    expected = torch.tensor([0.0, -1.0])
    torch.testing.assert_close(
        margins(logits, torch.tensor([0, 1]), 1.0), expected, atol=1e-4, rtol=0
    )


def test_the_claim_of_the_guide_has_what_every_claim_has():
    claim = defined("adding-a-claim.md")["GuidanceScale"]()
    assert {claim.subject, *claim.controls} < claim.arms.keys()
    assert {"weak", "strong"} < claim.arms.keys()


USES = (*PICTURES, "export")


def run_notebook(path: Path) -> None:
    """Run a notebook's code on the run that lies here, in place of the model that comes along."""
    here = {"return_value": "runs/emoscenes"}
    names: dict = {}
    with mock.patch("uniemo.pipeline.sources_of_models.resolve", **here):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), names)


@pytest.mark.filterwarnings("ignore")
def test_the_python_and_commands_of_those_who_use_a_model_run(
    tiny_files, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    changes = {
        "experiment": "emoscenes",
        "model.understanding_epochs": 0,
        "trainer.max_epochs": 1,
        "trainer.precision": "32-true",
        "trainer.strategy": "auto",
    }
    leave("fit", "-c", str(ROOT / "experiments/emoset.yaml"), *settings(tiny_files, **changes))
    for name in ("awe/awe_00001.jpg", "fear/fear_00006.jpg"):
        image = tmp_path / "data/emoscenes/image" / name
        image.parent.mkdir(parents=True)
        copyfile(next((tiny_files["emoset"] / "image/awe").glob("*.jpg")), image)
    for document in ("README.md", "docs/guides/first-run.md", "docs/guides/using-a-model.md"):
        exec(blocks(ROOT / document, "python")[0], {})
    run_notebook(ROOT / "docs/guides/first-minutes.ipynb")
    assert (tmp_path / "awe.png").is_file()
    assert (tmp_path / "my-model/model_index.json").is_file()
    assert "sadness" in capsys.readouterr().out
    for program, *words in commands(ROOT / "docs/guides/using-a-model.md"):
        if program == "uniemo" and words[0] in USES and "published" not in words:
            assert leave(*words) == 0, words
    assert {path.name for path in tmp_path.glob("*.safetensors")} == {
        "awe.safetensors",
        *(f"awe_{i:03d}.safetensors" for i in range(3)),
        "photo.safetensors",
    }
    assert len(list((tmp_path / "out").rglob("*.png"))) == 31


# --- Names, files, links --------------------------------------------------------------------------


def has_name(dotted: str) -> bool:
    """Whether a package, module, class, function or attribute of this name is in the sources."""
    parts = dotted.split(".")
    folder = ROOT / "src" if parts[0] == "uniemo" else ROOT
    for length in range(len(parts), 0, -1):
        place = folder.joinpath(*parts[:length])
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if file.is_file():
            return in_body(ast.parse(file.read_text("utf-8")).body, parts[length:])
    return False


def in_body(body: list[ast.stmt], names: list[str]) -> bool:
    if not names:
        return True
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == names[0]:
            return in_body(node.body, names[1:])
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        imported = node.names if isinstance(node, ast.ImportFrom) else []
        found = [getattr(t, "id", None) for t in targets] + [a.asname or a.name for a in imported]
        if names[0] in found and len(names) == 1:
            return True
    return False


@pytest.mark.parametrize("path", DOCUMENTS, **by_name)
def test_code_and_files_that_are_named_exist(path):
    for span in spans(path):
        if re.fullmatch(r"(uniemo|data_modules)(\.\w+)+", span):
            assert has_name(span), span
        if re.fullmatch(r"(src|tests|experiments|data_modules)/[\w./-]+", span):
            assert (ROOT / span).exists() or span in EXAMPLES, span


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub and MkDocs make them."""
    titles = re.findall(r"^#+ (.+)$", prose(path), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, **by_name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if target.startswith(("http:", "https:")):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        assert there.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(there), target


def test_every_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    for path in SITE:
        assert str(path.relative_to(ROOT / "docs")) in text, path


SECTIONS = {
    "Published and extension", "Data", "Understanding chain", "Losses of understanding",
    "Attribute bases and correlation coefficient", "Condition", "Condition loss",
    "Noise-prediction loss", "Joint objective", "Emotion space", "Sampling", "Generate and filter",
    "Finetune", "Published settings", "Metrics", "Published results",
    "Defects of the public code", "Extensions",
}  # fmt: skip


def test_sections_that_docstrings_cite_exist():
    titles = set(re.findall(r"^## (.+)$", (ROOT / "docs/method.md").read_text("utf-8"), re.M))
    assert titles == SECTIONS
    cited = re.compile(r'docs/method\.md,? ((?:(?:, | and )?"[^"]+")+)')
    files = [
        *(ROOT / "src").rglob("*.py"),
        *(ROOT / "data_modules").rglob("*.py"),
        *(ROOT / "experiments").glob("*.yaml"),
    ]
    for file in files:
        text = re.sub(r"\s*\n\s*#?\s*", " ", file.read_text("utf-8"))
        for found in cited.findall(text):
            for title in re.findall(r'"([^"]+)"', found):
                assert title in titles, f"{file.relative_to(ROOT)} cites {title!r}"
