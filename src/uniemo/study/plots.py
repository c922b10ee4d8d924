"""A table's headline as a figure: a dot for every arm, a line for its interval."""

from io import BytesIO
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from uniemo.study.statistics import Table

TEXT, MARK = "#7d7d7d", "#2b86d9"  # readable on white and on black
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "uniemo",  # the same table gives the same bytes
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), TEXT),
    **dict.fromkeys(("xtick.color", "ytick.color"), TEXT),
}


def draw(table: Table) -> bytes:
    """Return the figure as SVG; the dashed line is the baseline's mean."""
    claim, measure = table.claim, table.claim.headline
    estimates = {arm: table.estimate(arm, measure.key) for arm in claim.arms}
    known = {arm: found for arm, found in estimates.items() if found is not None}
    with matplotlib.rc_context(STYLE):
        figure = Figure((6.4, 0.9 + 0.28 * len(known)), layout="constrained")
        axes = figure.subplots()
        axes.errorbar(
            [found.mean * measure.scale for found in known.values()],
            list(known),
            xerr=[(found.half_width or 0) * measure.scale for found in known.values()],
            fmt="o",
            color=MARK,
        )
        if claim.baseline in known:
            mean = known[claim.baseline].mean * measure.scale
            axes.axvline(mean, color=TEXT, linestyle="--", linewidth=1, zorder=0)
        axes.set_xlabel(measure.title)
        axes.set_ylim(len(known) - 0.5, -0.5)  # the first arm on top
        axes.tick_params(left=False)
        axes.spines[["left", "right", "top"]].set_visible(False)
        content = BytesIO()
        metadata = {"Date": None, "Title": f"{measure.title}, by arm"}
        figure.savefig(content, format="svg", transparent=True, metadata=metadata)
    return content.getvalue()
