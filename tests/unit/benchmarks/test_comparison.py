"""What several systems gave becomes rows, ratios, a page and a picture."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from benchmarks.chart import picture
from benchmarks.comparison import Row, below_mark, compare, sections
from benchmarks.contest import Outcome
from benchmarks.figures import Disk, Sample
from benchmarks.machine import Machine
from benchmarks.markdown import page
from benchmarks.systems import ACROSS, IN_PROCESS, System, chosen, systems

OURS = System("wsaios-a.client", ACROSS, "many callers", 100)
DURABLE = System("durable", ACROSS, "one caller", 100, beside=OURS.name, mark=100)
LOSING = System("losing", ACROSS, "one <caller>", 100, beside=OURS.name, mark=400)
BROKEN = System("broken", IN_PROCESS, "one caller", 100, beside=OURS.name)
MACHINE = Machine("Linux", "a processor", 2, 4.0, "CPython 3", "3.54", "/work", "ext4", 0.5, "c0ffee", changed=True)


def outcome(rate: float, *, survives: bool = True, submit: float | None = None, others: float = 0.0) -> Outcome:
    values = {"per_s": [rate], "cpu_us": [rate / 10]}
    if submit is not None:
        values["submit_per_s"] = [submit]
    sample = Sample(values, Disk(rate / 100, rate / 10), others)
    return Outcome(sample, "system 1.0", "a store", survives)


@pytest.fixture
def rows() -> list[Row]:
    outcomes = {
        OURS.name: [outcome(1_000), outcome(3_000, submit=9_000), outcome(1_200)],
        DURABLE.name: [outcome(100, others=0.1), outcome(60, others=0.9), outcome(50, others=0.4)],
        LOSING.name: [outcome(400, survives=False), outcome(300, survives=False)],
    }
    return compare([OURS, DURABLE, LOSING, BROKEN], outcomes, {BROKEN.name: "it ended with 1:\nno such table"})


def row(rows: list[Row], name: str) -> Row:
    return next(each for each in rows if each.name == name)


def test_a_row_is_the_median_of_its_runs_with_their_range(rows: list[Row]) -> None:
    durable = row(rows, "durable")
    assert (durable.median, durable.low, durable.high) == (60, 50, 100)
    assert durable.runs == [100, 60, 50]
    assert durable.cpu_us == 6
    assert durable.others_cores == 0.4
    assert durable.disk == Disk(0.6, 6.0)
    assert durable.submit_per_s is None
    assert row(rows, OURS.name).submit_per_s == 9_000


def test_a_ratio_is_taken_round_by_round(rows: list[Row]) -> None:
    assert row(rows, "durable").ratio == 24.0  # of 10, 50, 24; the medians alone would say 20
    assert row(rows, "losing").ratio == 6.25  # of 2.5 and 10: its two rounds
    assert row(rows, OURS.name).ratio is None


def test_our_rows_are_held_against_the_fastest_that_survives(rows: list[Row]) -> None:
    assert row(rows, OURS.name).times_best == 20.0  # 1,200 over 60: the one with 350 loses work
    assert row(rows, "durable").times_best is None


def test_what_survives_a_power_cut_stands_apart(rows: list[Row]) -> None:
    found = [(title, [each.name for each in those]) for title, those in sections(rows)]
    assert [names for _, names in found] == [[OURS.name, "durable"], ["losing"]]
    assert "survives" in found[0][0]
    assert "may be lost" in found[1][0]


def test_who_stays_below_the_mark_is_named(rows: list[Row]) -> None:
    assert [each.name for each in below_mark(rows)] == ["durable"]  # 60 of 100; 350 of 400 is enough


def test_the_page_names_machine_figures_and_failures(rows: list[Row]) -> None:
    text = page(rows, MACHINE, "2026-11-27 14:00 UTC", 3)
    assert "commit c0ffee with changes" in text
    cells = [word.strip() for word in next(line for line in text.splitlines() if "durable " in line).split("|")]
    assert cells[1:9] == ["durable", "one caller", "60", "50 … 100", "", "6", "24.0×", ""]
    assert "broken could not be measured: it ended with 1: … no such table" in text
    assert "durable is below its mark: 60/s of 100/s on two quiet cores elsewhere (60%; 80% is enough)." in text
    assert "At 6 µs a task, 2 cores of their own allow at most 333,333/s. Others kept 0.40 cores busy." in text
    assert "- system 1.0: a store" in text
    assert "beside durable." in text


def test_the_picture_has_a_bar_for_every_measured_row(rows: list[Row]) -> None:
    drawn = ET.fromstring(picture(rows, "a & b"))  # noqa: S314  # what we drew ourselves
    space = "{http://www.w3.org/2000/svg}"
    bars = {each.get("y"): float(each.get("width", "")) for each in drawn.iter(f"{space}rect") if each.get("x")}
    widths = [bars[key] for key in sorted(bars, key=lambda key: float(key or 0))]
    # Ours, then 60/s, then 350/s; a tenfold rate is equally wider everywhere.
    assert len(widths) == 3
    assert widths[0] > widths[2] > widths[1] > 0
    texts = {each.text for each in drawn.iter(f"{space}text")}
    assert {"a & b", "durable", "60", "1,200"} <= texts
    assert "broken" not in texts


def test_a_picture_of_nothing_is_still_one() -> None:
    drawn = ET.fromstring(picture([], "nothing"))  # noqa: S314  # what we drew ourselves
    assert drawn.tag.endswith("svg")


def test_words_choose_rows_by_whole_names_or_beginnings() -> None:
    every = systems()
    names = {system.name for system in every}
    assert [each.name for each in chosen(every, ["huey-redis", "celery"])] == ["huey-redis", "celery"]
    assert [each.name for each in chosen(every, ["huey"])] == ["huey-sqlite", "huey-redis"]
    assert all(each.ours for each in chosen(every, ["wsaios"]))
    assert chosen(every, []) == chosen(every, ["peers"]) == every
    assert not chosen(every, ["hue"])
    assert len(names) == len(every)


def test_every_peer_is_held_beside_a_row_of_ours_in_its_own_group() -> None:
    ours = {system.name: system for system in systems() if system.ours}
    for peer in (system for system in systems() if not system.ours):
        assert ours[peer.beside].group == peer.group, peer.name
