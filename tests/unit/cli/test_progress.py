"""Plain lines: at every tenth, every five seconds, and nothing twice."""

import io

import pytest

from wsaios.cli.progress import Bar, Lines, Silent, progress_for


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines_of(total: int, steps: list[tuple[float, int]], phase: str = "run") -> list[str]:
    """What is written for (seconds, done)."""
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, clock)
    lines.phase(phase, total)
    for now_s, done in steps:
        clock.now_s = now_s
        lines.advance(done)
    return stream.getvalue().splitlines()


def test_a_quick_batch_has_a_line_for_every_tenth() -> None:
    found = lines_of(200, [(done / 1000, done) for done in range(201)])
    assert [line.split(",")[0] for line in found] == [f"running: {share} %" for share in range(10, 101, 10)]


def test_a_jump_over_several_tenths_is_one_line() -> None:
    found = lines_of(100, [(0.1, 0), (0.2, 55), (0.3, 58), (0.4, 100)])
    assert [line.split(",")[0] for line in found] == ["running: 55 %", "running: 100 %"]


def test_a_slow_batch_has_a_line_every_five_seconds() -> None:
    found = lines_of(1000, [(second / 2, second) for second in range(41)])
    assert [line.split()[3].split("/")[0] for line in found] == ["10", "20", "30", "40"]
    assert found[-1] == "running: 4 %, 40/1,000 rows, 0 failed, 2.0 rows/s, 8:00 left"


def test_nothing_is_said_twice() -> None:
    found = lines_of(10, [(second, 3) for second in range(100)])
    assert len(found) == 1


def test_other_parts_are_told_only_when_they_take_long() -> None:
    assert lines_of(1000, [(done / 1000, done) for done in range(1001)], "accept") == []
    assert lines_of(50_000, [(1.0, 50_000)], "accept") == ["accepting 50,000 rows"]
    found = lines_of(10 << 20, [(1.0, 1 << 20), (6.0, 4 << 20)], "check")
    assert found == ["checking 10 MiB", "checking: 40 %, 4/10 MiB, 1 MiB/s, 10 s left"]


def test_failures_are_part_of_the_line() -> None:
    stream = io.StringIO()
    lines = Lines(stream, Clock())
    lines.phase("run", 2)
    lines.advance(2, 1)
    assert stream.getvalue() == "running: 100 %, 2/2 rows, 1 failed, 0.0 rows/s\n"


def test_what_fits_is_chosen() -> None:
    assert isinstance(progress_for(quiet=True, stream=Terminal()), Silent)
    stream = io.StringIO()
    lines = progress_for(quiet=False, stream=stream)
    lines.note("this")
    lines.close()
    assert stream.getvalue() == "this\n"


class Full(io.StringIO):
    tried = 0

    def write(self, text: str) -> int:
        self.tried += 1
        raise OSError(28, "No space left on device")


def test_what_cannot_be_written_silences_it_and_raises_nothing() -> None:
    full = Full()
    lines = progress_for(quiet=False, stream=full)
    lines.note("this")
    tried = full.tried
    lines.phase("run", 2)
    lines.advance(2)
    lines.note("that")
    lines.close()
    assert (tried, full.tried) == (1, 1)


def test_a_bar_shows_each_part_and_is_silent_about_brief_ones(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    bar = Bar(clock)
    bar.phase("accept", 10)
    bar.advance(10)
    bar.phase("run", 4)
    clock.now_s = 1.0
    bar.advance(2, 1)
    clock.now_s = 2.0
    bar.advance(4, 1)
    bar.phase("write", 4)
    bar.advance(4)
    bar.note("and this")
    bar.close()
    shown = capsys.readouterr().err
    assert "4/4 rows, 1 failed" in shown
    assert "and this" in shown
    assert "accepting" not in shown
    assert "writing" not in shown
