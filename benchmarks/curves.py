"""Small charts of curves, drawn as SVG by hand, that can be read on light and on dark pages."""

import math
from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

import msgspec

_WIDTH: Final = 300
_HEIGHT: Final = 170
_LEFT: Final = 52
_RIGHT: Final = 14
_TOP: Final = 44
_BOTTOM: Final = 30
_HEAD: Final = 62
_ABOVE: Final = 1.15
_STYLE: Final = """
svg{--page:#ffffff;--ink:#1f2328;--soft:#57606a;--grid:#d8dee4;--good:#1f6feb;--bad:#cf222e;--told:#6e7781}
@media (prefers-color-scheme:dark){
svg{--page:#0d1117;--ink:#e6edf3;--soft:#9198a1;--grid:#30363d;--good:#58a6ff;--bad:#ff7b72;--told:#9198a1}}
text{font:11px system-ui,sans-serif;fill:var(--soft)}.title{font-weight:600;font-size:15px;fill:var(--ink)}
.name{font-weight:600;font-size:12px;fill:var(--ink)}.page{fill:var(--page)}.grid{stroke:var(--grid)}
polyline{fill:none;stroke-width:2;stroke-linejoin:round}polyline.flat{stroke:var(--good)}
polyline.grows{stroke:var(--bad)}polyline.told{stroke:var(--told)}circle.flat{fill:var(--good)}circle.grows{fill:var(--bad)}
circle.told{fill:var(--told)}text.grows{fill:var(--bad)}
"""


class Chart(msgspec.Struct, frozen=True):
    """One curve over one axis, which begins at 0 upwards; `kind` is ``flat``, ``grows`` or ``told`` and colours it."""

    name: str
    unit: str
    points: Sequence[tuple[float, float]]
    kind: str = "told"
    says: str = ""
    x_says: str = ""
    logarithmic: bool = False


def picture(title: str, footnote: str, rows: Sequence[Sequence[Chart]]) -> str:
    """All charts in rows."""
    width = _WIDTH * max((len(row) for row in rows), default=1)
    height = _HEAD + _HEIGHT * len(rows)
    drawn = [
        line
        for down, row in enumerate(rows)
        for across, chart in enumerate(row)
        if chart.points
        for line in _chart(chart, across * _WIDTH, _HEAD + down * _HEIGHT)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="page" width="{width}" height="{height}"/>',
            f'<text class="title" x="12" y="24">{escape(title)}</text>',
            f'<text x="12" y="44">{escape(footnote)}</text>',
            *drawn,
            "</svg>",
            "",
        ]
    )


def _chart(chart: Chart, left: int, top: int) -> list[str]:
    xs = [_along(x, logarithmic=chart.logarithmic) for x, _ in chart.points]
    most = _round_up(max(y for _, y in chart.points) * _ABOVE)
    x0, x1 = left + _LEFT, left + _WIDTH - _RIGHT
    y0, y1 = top + _HEIGHT - _BOTTOM, top + _TOP
    span = max(xs) - min(xs) or 1.0
    at = [
        (x0 + (x - min(xs)) / span * (x1 - x0), y0 - y / most * (y0 - y1))
        for x, (_, y) in zip(xs, chart.points, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    drawn = [
        f'<text class="name" x="{left + 12}" y="{top + 16}">{escape(chart.name)}</text>',
        f'<text class="{chart.kind}" x="{left + 12}" y="{top + 31}">{escape(chart.says)}</text>',
    ]
    for share in (0.0, 0.5, 1.0):
        y = y0 - share * (y0 - y1)
        drawn.append(f'<line class="grid" x1="{x0}" x2="{x1}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text x="{x0 - 5}" y="{y + 4:.1f}" text-anchor="end">{short(most * share)}</text>')
    drawn.append(f'<polyline class="{chart.kind}" points="{line}"/>')
    shown = list(range(len(at))) if chart.logarithmic else [0, len(at) - 1]
    for place in dict.fromkeys(shown):
        x, y = at[place]
        anchor = "end" if place == len(at) - 1 and place else "start" if not place else "middle"
        words = short(chart.points[place][0] if chart.logarithmic else round(chart.points[place][0], 1))
        drawn.append(f'<text x="{x:.1f}" y="{y0 + 14}" text-anchor="{anchor}">{words}</text>')
        if chart.logarithmic:
            told = f"{chart.points[place][0]:,.0f}: {chart.points[place][1]:,.4g} {chart.unit}"
            drawn.append(
                f'<circle class="{chart.kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{escape(told)}</title></circle>'
            )
    drawn.append(f'<text x="{(x0 + x1) / 2}" y="{y0 + 26}" text-anchor="middle">{escape(chart.x_says)}</text>')
    return drawn


def short(value: float) -> str:
    """A number for an axis: 250, 1.5k, 10M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _along(x: float, *, logarithmic: bool) -> float:
    return math.log10(max(x, 1.0)) if logarithmic else x


def _round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 5, 7.5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 5, 7.5, 10) if step * power >= value * (1 - 1e-9))
