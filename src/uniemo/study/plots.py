"""A claim's headline as a figure: an interval for every arm, or a curve over numbers of images."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uniemo.study.results import Table
from uniemo.study.statistics import Estimate
from uniemo.study.tables import percent

TEXT, MARK = "#7d7d7d", "#2b86d9"  # readable on white and on black
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "uniemo",  # the same table gives the same bytes
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), TEXT),
    **dict.fromkeys(("xtick.color", "ytick.color"), TEXT),
}


def draw(tables: Sequence[Table], curves: bool = False) -> bytes:
    """Return a claim's figure as SVG: its headline, less the baseline's.

    Args:
        tables: The claim's results, at one or more shares of the training split.
        curves: Draw one curve for every arm, and not one panel for every share.
    """
    claim = tables[0].claim
    arms = [arm for arm in claim.arms if any(gain(table, arm) for table in tables)]
    with matplotlib.rc_context(STYLE):
        if curves:
            figure = Figure((7, 4.2), layout="constrained")
            draw_curves(figure.subplots(), tables, arms)
        else:
            size = (3.2 + 3.2 * len(tables), 1.2 + 0.28 * len(arms))
            figure = Figure(size, layout="constrained")
            panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
            for axes, table in zip(panels, tables, strict=True):
                draw_arms(axes, table, arms)
        content = BytesIO()
        metadata = {"Date": None, "Title": f"{claim.headline.title}, by arm"}
        figure.savefig(content, format="svg", transparent=True, metadata=metadata)
    return content.getvalue()


def draw_arms(axes: Axes, table: Table, arms: Sequence[str]) -> None:
    """Draw a dot for every arm, the first one on top; the dashed line is the baseline."""
    gains = {arm: found for arm in arms if (found := gain(table, arm))}
    scale = table.claim.headline.scale
    axes.errorbar(
        [found.mean * scale for found in gains.values()],
        [arms.index(arm) for arm in gains],
        xerr=[(found.half_width() or 0) * scale for found in gains.values()],
        fmt="o",
        color=MARK,
    )
    axes.axvline(0, color=TEXT, linestyle="--", linewidth=1, zorder=0)
    axes.set_title(percent(table.fraction), fontsize="medium")
    axes.set_xlabel(f"{table.claim.headline.title}, less {table.baseline}")
    axes.set_yticks(range(len(arms)), arms)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.tick_params(left=False)
    axes.spines[["left", "right", "top"]].set_visible(False)


def draw_curves(axes: Axes, tables: Sequence[Table], arms: Sequence[str]) -> None:
    """Draw every arm's gain over the share of the training split, side by side."""
    measure = tables[0].claim.headline
    for place, arm in enumerate(arms):
        gains = {table.fraction: found for table in tables if (found := gain(table, arm))}
        apart = 1.03 ** (place - (len(arms) - 1) / 2)
        axes.errorbar(
            [100 * fraction * apart for fraction in gains],
            [found.mean * measure.scale for found in gains.values()],
            yerr=[(found.half_width() or 0) * measure.scale for found in gains.values()],
            marker="o",
            markersize=4,
            linewidth=1,
            label=arm,
        )
    axes.axhline(0, color=TEXT, linestyle="--", linewidth=1, zorder=0)
    axes.set_xscale("log")
    shares = [table.fraction for table in tables]
    axes.set_xticks([100 * share for share in shares], [percent(share) for share in shares])
    axes.minorticks_off()
    axes.set_xlabel("share of the training split")
    axes.set_ylabel(f"{measure.title}, less the best control")
    axes.spines[["right", "top"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))


def gain(table: Table, arm: str) -> Estimate | None:
    """Return an arm's headline, less the baseline's."""
    return table.difference(arm, table.claim.headline.key)
