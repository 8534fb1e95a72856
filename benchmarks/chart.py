"""The comparison as a picture: one bar a row, on a logarithmic scale, drawn as SVG by hand."""

import math
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.comparison import Row, sections

_WIDTH: Final = 960
_LEFT: Final = 300
_RIGHT: Final = 90
_BAR: Final = 16
_STEP: Final = 24
_TITLE: Final = 40
_TOP: Final = 50
_COLOURS: Final = {"ours": "#1f6feb", "survives": "#57606a", "loses": "#b6bcc4"}
_STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:13px}"
    ".small{font-size:11px;fill:#57606a}.grid{stroke:#d8dee4}.range{stroke:#1f2328}"
)


def picture(rows: list[Row], footnote: str) -> str:
    """Tasks a second of every row that was measured, with its range; the colour tells whose and whether it survives."""
    parts = sections(rows)
    least = min((row.low for _, those in parts for row in those), default=1.0)
    most = max((row.high for _, those in parts for row in those), default=10.0)
    first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
    scale = _Scale(first, max(last, first + 1))
    body: list[str] = []
    y = _TOP
    for title, those in parts:
        body.append(f'<text class="title" x="12" y="{y + 24}">{escape(title)}</text>')
        y += _TITLE
        for row in those:
            body += _bar(row, y, scale)
            y += _STEP
    height = y + 40
    grid = [
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{y}"/>'
        f'<text class="small" x="{x:.1f}" y="{y + 14}" text-anchor="middle">{10**power:,}</text>'
        for power in range(scale.first, scale.last + 1)
        for x in [scale.x(10.0**power)]
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}">',
            f"<style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
            '<text class="title" x="12" y="22">No-op tasks a second, from the first submit to the last result</text>',
            f'<text class="small" x="12" y="40">{escape(footnote)}</text>',
            *grid,
            *body,
            "</svg>",
            "",
        ]
    )


class _Scale:
    """Where a rate stands, with a tenfold step equally wide everywhere."""

    def __init__(self, first: int, last: int) -> None:
        self.first = first
        self.last = last

    def x(self, rate: float) -> float:
        part = (math.log10(rate) - self.first) / (self.last - self.first)
        return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)


def _bar(row: Row, y: int, scale: _Scale) -> list[str]:
    colour = _COLOURS["ours" if row.ours else "survives" if row.survives else "loses"]
    end, low, high = (scale.x(rate) for rate in (row.median, row.low, row.high))
    middle = y + _BAR / 2
    return [
        f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(row.name)}</text>',
        f'<rect x="{_LEFT}" y="{y}" width="{end - _LEFT:.1f}" height="{_BAR}" fill="{colour}"/>',
        f'<line class="range" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
        f'<text x="{max(end, high) + 6:.1f}" y="{y + 12}">{row.median:,.0f}</text>',
    ]
