"""The report of a simulation: one HTML file that needs nothing else, with drawings in SVG and no scripts."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from typing import Final

import msgspec

from wsaios.simulation.figures import Result, waits
from wsaios.simulation.replay import Run
from wsaios.simulation.trace import S, Trace

_COLOURS: Final = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f")
_WIDE: Final = 640
_HIGH: Final = 260
_LEFT: Final = 58
_BOTTOM: Final = 34
_BINS: Final = 120
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;color:#1f2937;background:#f9fafb;max-width:72rem;margin:2rem auto;"
    "padding:0 1rem}h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.1rem;margin-top:2rem}p{color:#4b5563}"
    "table{border-collapse:collapse;background:#fff;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{padding:.35rem .6rem;text-align:right;border-bottom:1px solid #e5e7eb}th{font-weight:600;color:#4b5563}"
    "th:nth-child(-n+2),td:nth-child(-n+2){text-align:left}section{display:grid;gap:1rem;"
    "grid-template-columns:repeat(auto-fit,minmax(22rem,1fr))}figure{margin:0;background:#fff;padding:1rem;"
    "border:1px solid #e5e7eb;border-radius:.5rem}figcaption{font-weight:600}svg{width:100%;height:auto}"
    "svg text{font-size:12px;fill:#6b7280}"
)
Point = tuple[float, float]


class Curve(msgspec.Struct):
    """A line with its name; `points` are in the units of the axes."""

    name: str
    points: list[Point]


def page(trace: Trace, slots: int, results: Sequence[Result], runs: Sequence[Run]) -> str:
    """The whole document."""
    named = list(zip(results, runs, strict=True))
    policy = f"'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
    drawings = [
        _drawing("Share of requests that waited no longer", "wait, s", [_shares(r.policy, trace, u) for r, u in named]),
        _drawing("Mean wait by time of arrival", "time, s", [_over_time(r.policy, trace, u) for r, u in named]),
        _drawing("Part of the slots that are taken", "time, s", [_taken(r.policy, trace, u, slots) for r, u in named]),
    ]
    title = escape(trace.name.rsplit("/", 1)[-1])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src {policy}">'
        f'<meta name="viewport" content="width=device-width"><title>Simulation of {title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>Simulation of {title}</h1>"
        f"<p>{len(trace.jobs):,} requests on {slots:,} slots. Times in seconds.</p>"
        f"{_table(results)}<section>{''.join(drawings)}</section>"
        "<p>Wait: time without a slot. Slowdown: completion by service time. Fairness: Jain's index of the mean "
        "slowdowns of tenants. Bound: what no order can be below.</p></body></html>\n"
    )


def _table(results: Sequence[Result]) -> str:
    header = (
        "policy class count wait|mean wait|p50 wait|p95 wait|p99 longest|wait completion|mean completion|p50 "
        "completion|p95 completion|p99 slowdown deadlines|met fairness utilisation preemptions makespan bound"
    )
    lines = ["<table><tr>", *(f"<th>{name.replace('|', ' ')}</th>" for name in header.split()), "</tr>"]
    for each in results:
        for place, row in enumerate(each.classes):
            wait, done = row.wait_s, row.completion_s
            numbers = (wait.mean, wait.p50, wait.p95, wait.p99, wait.longest, done.mean, done.p50, done.p95, done.p99)
            cells = [each.policy, row.grade, f"{row.count:,}", *(f"{number:,.3f}" for number in numbers)]
            cells += [f"{row.slowdown.mean:,.2f}", f"{row.deadlines_met:,} of {row.deadlines:,}"]
            whole = [f"{each.fairness:.3f}", f"{each.utilisation:.1%}", f"{each.preemptions:,}"]
            cells += [*whole, f"{each.makespan_s:,.1f}", f"{each.bound_s:,.1f}"] if not place else [""] * 5
            lines += ["<tr>", *(f"<td>{escape(cell)}</td>" for cell in cells), "</tr>"]
    return "".join([*lines, "</table>"])


def _shares(name: str, trace: Trace, run: Run) -> Curve:
    ordered = sorted(waits(trace, run).wait)
    steps = [round(part * (len(ordered) - 1) / _BINS) for part in range(_BINS + 1)]
    return Curve(name, [(ordered[place] / S, (place + 1) / len(ordered)) for place in steps])


def _over_time(name: str, trace: Trace, run: Run) -> Curve:
    seen = waits(trace, run)
    first, span = min(seen.ready), max(seen.ready) - min(seen.ready)
    sums, counts = [0] * _BINS, [0] * _BINS
    for ready, wait in zip(seen.ready, seen.wait, strict=True):
        place = min(_BINS - 1, (ready - first) * _BINS // (span or 1))
        sums[place] += wait
        counts[place] += 1
    points = [
        ((place + 0.5) * span / _BINS / S, total / count / S)
        for place, (total, count) in enumerate(zip(sums, counts, strict=True))
        if count
    ]
    return Curve(name, points)


def _taken(name: str, trace: Trace, run: Run, slots: int) -> Curve:
    first = min(job.arrival_us for job in trace.jobs)
    width = max(1, (max(run.end_us) - first) // _BINS + 1)
    busy = [0] * _BINS
    for place in range(0, len(run.turns), 2):
        at, end = run.turns[place] - first, run.turns[place + 1] - first
        while at < end:
            until = min(end, (at // width + 1) * width)
            busy[at // width] += until - at
            at = until
    return Curve(name, [((place + 0.5) * width / S, used / width / slots) for place, used in enumerate(busy)])


def _drawing(title: str, across: str, curves: Sequence[Curve]) -> str:
    points = [point for curve in curves for point in curve.points]
    most_x, most_y = (max((point[axis] for point in points), default=0.0) or 1.0 for axis in (0, 1))
    body = []
    for part in range(5):
        x, y = _x(part / 4), _y(part / 4)
        body.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDE - 10}" stroke="#e5e7eb"/>')
        body.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{most_y * part / 4:.3g}</text>')
        body.append(f'<text x="{x:.1f}" y="{_HIGH - 16}" text-anchor="middle">{most_x * part / 4:.4g}</text>')
    body.append(f'<text x="{_WIDE / 2:g}" y="{_HIGH - 2}" text-anchor="middle">{escape(across)}</text>')
    for number, curve in enumerate(curves):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [f"{_x(x / most_x):.1f} {_y(y / most_y):.1f}" for x, y in curve.points]
        body.append(f'<path d="M{"L".join(places)}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        high = _HIGH + 14 + 16 * (number // 4)
        body.append(f'<rect x="{_LEFT + number % 4 * 145}" y="{high - 9}" width="10" height="10" fill="{colour}"/>')
        body.append(f'<text x="{_LEFT + 15 + number % 4 * 145}" y="{high}">{escape(curve.name[:20])}</text>')
    high = _HIGH + 20 + 16 * ((len(curves) + 3) // 4)
    view = f'viewBox="0 0 {_WIDE} {high}" role="img" aria-label="{escape(title)}"'
    return f"<figure><figcaption>{escape(title)}</figcaption><svg {view}>{''.join(body)}</svg></figure>"


def _x(part: float) -> float:
    return _LEFT + part * (_WIDE - _LEFT - 10)


def _y(part: float) -> float:
    return _HIGH - _BOTTOM - part * (_HIGH - _BOTTOM - 10)
