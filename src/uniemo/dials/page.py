"""``dials.md``: tables and figures of what the dials do."""

import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from uniemo.dials.measure import Dials, Row
from uniemo.pipeline.emotion_pipeline import EDIT_INTENSITY, STRENGTH
from uniemo.study.plots import STYLE
from uniemo.utils.files import write_bytes

PAGE = """\
# What the dials do

Pictures of the embedded default at many settings of each dial, {n} of each emotion at each
setting, seed {seed}. The judge that reads them is a linear probe on a network that took no part
in the training, photos are of the validation split. Written by

```bash
{command}
```

## Intensity

`intensity` moves what the text encoder makes of the word from neutral (0) to the emotion's (1)
and beyond. Chance is 12.5 %.

![Emo-A and p(target) by intensity](dials/intensity.svg)

{intensity}

## Blends

Each emotion is blended with the one half the list away; the judge's probabilities of both, and
the first's share of their sum. On a straight line the share would equal the weight.

![The judge's share of the first emotion by its weight](dials/blend.svg)

{blend}

## Edits

Each photo is edited towards another emotion than its own. A photo that only passes through the
autoencoder keeps a CLIP similarity of {same_clip} and a perceptual distance of {same_distance};
two unrelated photos have {other_clip} and {other_distance}. The defaults are strength
{strength:g} and intensity {edit_intensity:g}.

![Emotion gained against content kept, by strength and intensity](dials/edit.svg)

{edit}

## Prompts

Objects are named in the prompt, `a * cat`. How often CLIP finds the named object nearest among
{objects} (chance
{chance}), and what is left of the emotion; the first row is painted without naming one.

{prompt}
"""


def write_page(folder: Path, dials: Dials, command: str, n: int, seed: int, objects: int) -> Path:
    """Write ``dials.md`` and ``dials/*.svg`` into a folder; return the page's path.

    Args:
        folder: The folder.
        dials: What was measured.
        command: That wrote the page.
        n: Pictures of each emotion at each setting.
        seed: The run's.
        objects: Number of objects that the prompts name.
    """
    curves = {
        "intensity": _curves(dials.intensity, "intensity", ("Emo-A", "p(target)")),
        "blend": _curves(dials.blend, "weight of the first", ("share of the first",), True),
        "edit": _trade(dials.edit),
    }
    for name, content in curves.items():
        write_bytes(folder / f"dials/{name}.svg", content)
    similarity, distance = dials.same_photo.keys()
    text = PAGE.format(
        n=n,
        seed=seed,
        command=command,
        intensity=table(dials.intensity),
        blend=table(dials.blend),
        edit=table(dials.edit),
        prompt=table(dials.prompt),
        same_clip=f"{dials.same_photo[similarity]:.2f}",
        same_distance=f"{dials.same_photo[distance]:.2f}",
        other_clip=f"{dials.other_photo[similarity]:.2f}",
        other_distance=f"{dials.other_photo[distance]:.2f}",
        strength=STRENGTH,
        edit_intensity=EDIT_INTENSITY,
        objects=objects,
        chance=f"{1 / objects:.1%}",
    )
    path = folder / "dials.md"
    write_bytes(path, text.encode())
    return path


def table(rows: Sequence[Row]) -> str:
    """Return rows as a table of Markdown."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([_number(row[key]) for key in head] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _curves(rows: Sequence[Row], x: str, names: Sequence[str], diagonal: bool = False) -> bytes:
    with matplotlib.rc_context(STYLE):
        figure = Figure((4.8, 2.6), layout="constrained")
        axes = figure.subplots()
        for name in names:
            axes.plot([row[x] for row in rows], [row[name] for row in rows], "o-", label=name)
        if diagonal:
            axes.plot([0, 1], [0, 1], "--", color="#7d7d7d", linewidth=1, label="equal to it")
        axes.set_xlabel(x)
        axes.set_ylim(0, 1)
        return _svg(figure)


def _trade(rows: Sequence[Row]) -> bytes:
    with matplotlib.rc_context(STYLE):
        figure = Figure((4.8, 3.0), layout="constrained")
        axes = figure.subplots()
        kept = "CLIP similarity to the photo"
        for intensity in sorted({row["intensity"] for row in rows}):
            line = [row for row in rows if row["intensity"] == intensity]
            x, y = [row[kept] for row in line], [row["p(target)"] for row in line]
            axes.plot(x, y, "o-", label=f"intensity {intensity:g}")
            for row, left, top in zip(line, x, y, strict=True):
                axes.text(left, top, f"{row['strength']:g}", fontsize=7)
        axes.set_xlabel(f"{kept}; numbers are strengths")
        axes.set_ylabel("p(target)")
        return _svg(figure)


def _svg(figure: Figure) -> bytes:
    (axes,) = figure.axes
    axes.legend(frameon=False)
    axes.spines[["right", "top"]].set_visible(False)
    content = BytesIO()
    figure.savefig(content, format="svg", transparent=True, metadata={"Date": None})
    return content.getvalue()
