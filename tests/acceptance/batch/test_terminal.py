"""What is shown where: a bar on a terminal, lines without one, one object with --json, nothing with --quiet."""

import os
import pty
import subprocess

from tests.acceptance.batch.folder import TIMEOUT_S, Folder, batch_arguments

BAR = "━"


def on_a_terminal(folder: Folder, *arguments: str, term: str = "xterm-256color", columns: int = 100) -> tuple[int, str]:
    leader, follower = pty.openpty()
    environment = folder.environment({"TERM": term, "COLUMNS": str(columns), "LINES": "30"})
    process = subprocess.Popen(
        folder.command(*arguments), cwd=folder.path, env=environment, stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    shown = bytearray()
    with os.fdopen(leader, "rb", buffering=0) as terminal:
        # A terminal that nobody holds open any more answers with an error.
        try:
            while piece := terminal.read(65_536):
                shown += piece
        except OSError:
            pass
    return process.wait(timeout=TIMEOUT_S), shown.decode()


def test_a_terminal_shows_a_bar_with_rate_failures_and_time_left(folder: Folder) -> None:
    folder.texts("in.csv", 100)
    status, shown = on_a_terminal(folder, *batch_arguments("in.csv", "work:slow"))
    assert status == 0
    assert [part for part in (BAR, "rows/s", "0 failed", "100/100 rows", "left") if part not in shown] == []
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_a_narrow_terminal_shows_numbers_instead_of_a_bar(folder: Folder) -> None:
    folder.texts("in.csv", 100)
    status, shown = on_a_terminal(folder, *batch_arguments("in.csv", "work:slow"), columns=48)
    assert (status, BAR in shown) == (0, False)
    assert [part for part in ("0 failed", "rows/s", "left", "100/100 rows") if part not in shown] == []


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(folder: Folder) -> None:
    folder.texts("in.csv", 100)
    status, shown = on_a_terminal(folder, *batch_arguments("in.csv", "work:slow"), term="dumb")
    assert (status, BAR in shown, "\x1b" in shown) == (0, False, False)
    assert shown.count("running: ") > 1


def test_without_a_terminal_there_are_plain_lines_at_every_tenth(folder: Folder) -> None:
    folder.texts("in.csv", 200)
    done = folder.batch("in.csv", "work:slow")
    assert (done.status, BAR in done.err) == (0, False)
    lines = [line for line in done.err.splitlines() if line.startswith("running: ")]
    assert 2 <= len(lines) <= 11
    assert lines[-1].startswith("running: 100 %, 200/200 rows, 0 failed, ")


def test_quiet_says_nothing(folder: Folder) -> None:
    folder.texts("in.csv", 20)
    done = folder.batch("in.csv", "work:shout", "--quiet")
    assert (done.status, done.out, done.err) == (0, "", "")


def test_json_is_one_object_whatever_handlers_print(folder: Folder) -> None:
    folder.texts("in.csv", 4)
    done = folder.batch("in.csv", "work:loud", "--json")
    summary = done.summary
    assert "a child says so too" in done.err
    assert {name: summary[name] for name in ("rows", "succeeded", "failed", "cancelled", "ran", "finished")} == {
        "rows": 4,
        "succeeded": 4,
        "failed": 0,
        "cancelled": 0,
        "ran": 4,
        "finished": True,
    }
    assert (summary["out"], summary["errors"]) == (str(folder.path / "r.jsonl"), None)
    assert summary["id"].startswith("batch_")
    assert summary["seconds"] > 0
    assert summary["rate"] > 0


def test_json_names_the_errors_file_when_there_is_one(folder: Folder) -> None:
    folder.texts("in.csv", 4)
    done = folder.batch("in.csv", "work:picky", "--json", "--quiet", "--max-attempts", "1")
    assert (done.status, done.err, done.summary["failed"]) == (1, "", 1)
    assert done.summary["errors"] == str(folder.path / "r.errors.jsonl")
