"""A batch outlives whoever watches it: readers that leave, full devices, streams that were never open."""

import os
import pty
import subprocess

from tests.acceptance.batch.folder import TIMEOUT_S, Done, Folder, batch_arguments

SLOW = 200


def by_shell(folder: Folder, command: str, **extra: str) -> Done:
    """A shell line in which $WSAIOS is the command; the status is that of the command, not of its readers."""
    run = subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=folder.path,
        env=folder.environment({"WSAIOS": " ".join(folder.command()), **extra}),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    return Done(run.returncode, run.stdout, run.stderr)


def test_a_batch_goes_on_when_the_reader_of_its_progress_leaves(folder: Folder) -> None:
    folder.texts("in.csv", SLOW)
    line = " ".join(batch_arguments("in.csv", "work:slow"))
    done = by_shell(folder, f"$WSAIOS {line} 2>&1 | head -n 1; exit ${{PIPESTATUS[0]}}")
    assert (done.status, len(done.out.splitlines()), done.err) == (0, 1, "")
    assert len(folder.lines("r.jsonl")) == SLOW


def test_a_batch_goes_on_when_progress_finds_no_room(folder: Folder) -> None:
    folder.texts("in.csv", 20)
    line = " ".join(batch_arguments("in.csv", "work:picky", "--max-attempts", "1"))
    done = by_shell(folder, f"$WSAIOS {line} 2>/dev/full")
    assert (done.status, len(folder.lines("r.jsonl"))) == (1, 18)
    assert "18 succeeded, 2 failed" in done.out


def test_a_batch_goes_on_when_its_terminal_is_closed(folder: Folder) -> None:
    folder.texts("in.csv", SLOW)
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        folder.command(*batch_arguments("in.csv", "work:slow")),
        cwd=folder.path,
        env=folder.environment({"TERM": "xterm"}),
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    os.read(leader, 1)
    os.close(leader)
    process.wait(timeout=TIMEOUT_S)
    assert len(folder.lines("r.jsonl")) == SLOW


def test_the_status_is_that_of_the_batch_when_nobody_reads_the_summary(folder: Folder) -> None:
    folder.texts("in.csv", 4)
    good = " ".join(batch_arguments("in.csv", "work:shout"))
    assert by_shell(folder, f"$WSAIOS {good} | true; exit ${{PIPESTATUS[0]}}").status == 0
    bad = " ".join(batch_arguments("in.csv", "work:picky", "--max-attempts", "1", out="s.jsonl"))
    assert by_shell(folder, f"$WSAIOS {bad} | true; exit ${{PIPESTATUS[0]}}").status == 1


def test_a_ledger_that_cannot_grow_is_said_in_the_words_of_the_command(folder: Folder) -> None:
    folder.texts("in.csv", 8000)
    line = " ".join(batch_arguments("in.csv", "work:shout", "--quiet"))
    done = by_shell(folder, f"ulimit -f 300; $WSAIOS {line}")
    assert (done.status, done.out, "r.jsonl" in folder.names()) == (2, "", False)
    assert "run the same command again" in done.err
    assert "Traceback" not in done.err
    assert "same key" not in done.err
    assert folder.batch("in.csv", "work:shout").status == 0
    assert len(folder.lines("r.jsonl")) == 8000


def test_looking_ends_well_when_the_reader_has_seen_enough(folder: Folder) -> None:
    folder.texts("in.csv", 1000)
    assert folder.batch("in.csv", "work:shout", "--quiet").status == 0
    done = by_shell(folder, "$WSAIOS task list --limit 1000 | head -n 1; exit ${PIPESTATUS[0]}")
    assert (done.status, done.out.split()[0], done.err) == (0, "task", "")


def test_output_without_room_is_said_and_is_no_defect(folder: Folder) -> None:
    folder.texts("in.csv", 4)
    line = " ".join(batch_arguments("in.csv", "work:shout", "--json"))
    done = by_shell(folder, f"$WSAIOS {line} --quiet >/dev/full")
    assert (done.status, done.err) == (74, "wsaios: standard output cannot be written: No space left on device\n")
    assert len(folder.lines("r.jsonl")) == 4


def test_streams_that_were_never_open_do_no_harm(folder: Folder) -> None:
    folder.texts("in.csv", 4)
    line = " ".join(batch_arguments("in.csv", "work:loud"))
    assert by_shell(folder, f"$WSAIOS {line} <&- >&- 2>&-").status == 0
    assert len(folder.lines("r.jsonl")) == 4
    assert by_shell(folder, "$WSAIOS task list >&-").status == 0


def test_what_an_old_encoding_lacks_is_escaped(folder: Folder) -> None:
    folder.texts("in.csv", 4)
    assert folder.batch("in.csv", "work:shout", "--quiet").status == 0
    done = folder.run("task", "list", "--limit", "2", PYTHONIOENCODING="ascii")
    assert (done.status, done.out.splitlines()[-1][:6]) == (0, r"\u2026")
