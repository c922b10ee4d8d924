"""A table's headline as a figure: a dot for every arm, a line for its interval."""

from html import escape

from uniemo.study.results import Table

WIDTH, ROW, LEFT, RIGHT, TOP, BOTTOM = 640, 24, 160, 24, 12, 40  # pixels
STYLE = (
    "text{font:13px sans-serif;fill:#333}.axis,.rule{stroke:#999;fill:none}"
    ".rule{stroke-dasharray:3 3}.mean{fill:#0b6bcb}.interval{stroke:#0b6bcb;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#ccc}.mean{fill:#5aa9f5}"
    ".interval{stroke:#5aa9f5}}"
)


def draw(table: Table) -> str:
    """Return the figure as SVG; the dashed line is the baseline's mean."""
    group = table.group
    measure = group.measure(group.headline)
    values = {arm: table.estimate(arm, group.headline) for arm in group.arms}
    known = {arm: value for arm, value in values.items() if value is not None}
    edges = [
        (value.mean + side * (value.half_width or 0)) * measure.scale
        for value in known.values()
        for side in (-1, 1)
    ]
    low, high = (min(edges), max(edges)) if edges else (0.0, 1.0)
    margin = 0.08 * (high - low) or 0.5
    low, high = low - margin, high + margin
    height = TOP + ROW * len(known) + BOTTOM

    def place(value: float) -> float:
        return LEFT + (value * measure.scale - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    floor = height - BOTTOM
    parts = [f'<path class="axis" d="M{LEFT} {floor}H{WIDTH - RIGHT}"/>']
    if group.baseline in known:
        x = place(known[group.baseline].mean)
        parts.append(f'<path class="rule" d="M{x:.1f} {TOP}V{floor}"/>')
    for number, (arm, value) in enumerate(known.items()):
        y = TOP + ROW * (number + 0.5)
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{escape(arm)}</text>')
        if value.half_width is not None:
            left, right = (place(value.mean + side * value.half_width) for side in (-1, 1))
            parts.append(f'<path class="interval" d="M{left:.1f} {y}H{right:.1f}"/>')
        parts.append(f'<circle class="mean" cx="{place(value.mean):.1f}" cy="{y}" r="4"/>')
    for edge, anchor, x in ((low, "start", LEFT), (high, "end", WIDTH - RIGHT)):
        label = f"{edge:.{measure.digits}f}"
        parts.append(f'<text x="{x}" y="{floor + 16}" text-anchor="{anchor}">{label}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{floor + 32}" text-anchor="middle">{escape(measure.title)}</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'role="img" aria-label="{escape(measure.title)}, by arm"><style>{STYLE}</style>'
        f"{''.join(parts)}</svg>\n"
    )
