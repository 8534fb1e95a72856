"""The judge itself is tested: what is lost, doubled or slow turns red."""

from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.chaos.__main__ import main
from tests.acceptance.chaos.ledgers import End, Place
from tests.acceptance.chaos.verdict import Figures, Times, judge
from tests.acceptance.crash.lines import Line, Lines
from wsaios.kernel.states import State

SECOND_US = 1_000_000
TIMES = Times(0, 10 * SECOND_US, 15 * SECOND_US, 30 * SECOND_US)
EACH_US = 10_000


class Still(Place):
    """A ledger that says what it is told to."""

    def __init__(self, ends: list[End], left: int = 0, contradictions: tuple[str, ...] = ()) -> None:
        super().__init__("sqlite", "", "")
        self._ends = ends
        self._left = left
        self._contradictions = contradictions

    def ends(self) -> list[End]:
        return self._ends

    def left(self) -> int:
        return self._left

    def contradictions(self) -> list[str]:
        return list(self._contradictions)


def moments(quiet_s: tuple[float, float] = (10.0, 15.5)) -> list[int]:
    """A hundred a second, but for a while."""
    first, last = (round(each * SECOND_US) for each in quiet_s)
    return [at for at in range(0, TIMES.stopped_us, EACH_US) if not first <= at < last]


def ends_at(at_us: list[int]) -> list[End]:
    return [End(n, State.SUCCEEDED, each, [n, "1.1"]) for n, each in enumerate(at_us)]


def told_at(at_us: list[int]) -> list[Line]:
    return [{"n": n, "id": "task_1", "began_us": each, "at_us": each} for n, each in enumerate(at_us)]


def judged(folder: Path, place: Place, lines: list[Line]) -> Figures:
    journal = Lines(folder / "journal")
    for line in lines:
        journal.append(line)
    journal.close()
    return judge(place, folder, TIMES)


def test_a_fault_that_everything_recovered_from_is_green(tmp_path: Path) -> None:
    seen = {"n": 5, "result": [5, "1.1"], "at_us": 60_000}
    figures = judged(tmp_path, Still(ends_at(moments())), [*told_at(moments()), seen])
    assert (figures.wrong(), figures.slow()) == ([], [])
    assert figures.first_acknowledged_s == figures.first_ended_s == 0.5
    assert figures.longest_silence_s == pytest.approx(5.5, abs=0.02)
    assert figures.rate_before == pytest.approx(100, abs=1)
    assert figures.ratio == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    "ends, line, expected",
    [
        (lambda ends: ends[1:], None, "1 acknowledged tasks are lost"),
        (lambda ends: [*ends, ends[0]], None, "1 results are there twice, or changed"),
        (lambda ends: ends, {"n": 5, "result": [5, "2.1"], "at_us": 1}, "1 results are there twice, or changed"),
        (lambda ends: ends, {"n": 5, "no_result": "TimeoutError", "at_us": 1}, "no result of 5: TimeoutError"),
        (lambda ends: ends, {"refused": 1, "at_us": 1}, "could not begin 1 submissions"),
        (lambda ends: [ends[0]._replace(state=State.FAILED), *ends[1:]], None, "1 tasks failed"),
    ],
)
def test_what_must_not_be_is_red(tmp_path: Path, ends: Any, line: Line | None, expected: str) -> None:
    lines = [*told_at(moments()), *([line] if line else [])]
    (found,) = judged(tmp_path, Still(ends(ends_at(moments()))), lines).wrong()
    assert expected in found


def test_what_is_left_and_what_contradicts_is_red(tmp_path: Path) -> None:
    place = Still(ends_at(moments()), left=3, contradictions=("a row is torn",))
    assert judged(tmp_path, place, told_at(moments())).wrong() == ["3 tasks have not ended", "a row is torn"]


def test_work_that_never_goes_on_is_red(tmp_path: Path) -> None:
    never = moments((10.0, 30.0))
    figures = judged(tmp_path, Still(ends_at(never)), told_at(never))
    assert figures.wrong() == ["nothing was acknowledged, or nothing ended, after the fault"]


def test_an_answer_to_what_was_asked_during_the_fault_is_no_recovery(tmp_path: Path) -> None:
    late = [{**line, "at_us": max(line["at_us"], TIMES.over_us)} for line in told_at(moments((15.0, 30.0)))]
    assert judged(tmp_path, Still(ends_at(moments())), late).first_acknowledged_s is None


def test_a_late_recovery_is_slow(tmp_path: Path) -> None:
    late = moments((10.0, 26.0))
    figures = judged(tmp_path, Still(ends_at(late)), told_at(late))
    assert figures.wrong() == []
    assert [line.partition(" s after")[0] for line in figures.slow()] == [
        "the first acknowledgement came 11.0",
        "the first end came 11.0",
    ]


def test_a_lower_rate_afterwards_is_slow(tmp_path: Path) -> None:
    sparse = [at for at in moments() if at < TIMES.fault_us or at % (2 * EACH_US) == 0]
    figures = judged(tmp_path, Still(ends_at(sparse)), told_at(sparse))
    assert figures.wrong() == []
    assert figures.slow() == ["afterwards 50% of the rate before, 95% at least"]


@pytest.mark.parametrize("minutes", ["-1", "0", "nan"])
def test_no_time_is_no_test(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--minutes", minutes])
    assert ended.value.code == 2
    assert "must be more than 0" in capsys.readouterr().err
