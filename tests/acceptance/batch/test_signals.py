"""SIGINT and SIGTERM: what runs may end, the rest waits for the next run, and a second SIGINT does not wait."""

import signal

import pytest

from tests.acceptance.batch.folder import Folder, batch_arguments, traced

COMMAND = batch_arguments("in.csv", "work:slow", "--id", "name")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_runs_may_end_and_the_next_run_does_the_rest(folder: Folder, number: signal.Signals) -> None:
    folder.texts("in.csv", 100)
    with traced(folder, COMMAND) as run:
        assert run.wait_for(40)
        run.send(number)
        stopped = run.end()
    assert stopped.status == 128 + number
    assert number.name in stopped.err
    assert "run the same command again" in stopped.out
    assert "r.jsonl" not in folder.names()
    assert sorted(folder.ended()) == sorted(run.calls)
    with traced(folder, COMMAND) as again:
        assert again.end().status == 0
    assert sorted(run.calls + again.calls) == sorted(f"text {row}" for row in range(1, 101))
    assert [line["id"] for line in folder.lines("r.jsonl")] == [f"n{row}" for row in range(1, 101)]


def test_what_does_not_end_in_its_grace_time_waits_for_the_next_run(folder: Folder) -> None:
    folder.texts("in.csv", 3)
    with traced(folder, [*batch_arguments("in.csv", "work:endless"), "--grace", "0.2", "--json"]) as run:
        assert run.wait_for(3)
        run.send(signal.SIGTERM)
        stopped = run.end()
    assert (stopped.status, stopped.summary["finished"], stopped.summary["succeeded"]) == (143, False, 0)
    folder.write("work.py", "def endless(text):\n    return text\n")
    assert folder.batch("in.csv", "work:endless").status == 0


def test_a_second_sigint_leaves_at_once(folder: Folder) -> None:
    folder.texts("in.csv", 3)
    with traced(folder, [*batch_arguments("in.csv", "work:endless"), "--grace", "600"]) as run:
        assert run.wait_for(3)
        run.send(signal.SIGINT)
        run.wait_for_note("Ctrl-C again")
        run.send(signal.SIGINT)
        stopped = run.end()
    assert (stopped.status, "nothing is lost" in stopped.err) == (130, True)


def test_signals_are_heard_while_a_coroutine_blocks_the_loop(folder: Folder) -> None:
    folder.texts("in.csv", 2)
    folder.write("work.py", folder.read("work.py") + b"\nasync def blocking(text):\n    endless(text)\n")
    with traced(folder, [*batch_arguments("in.csv", "work:blocking")]) as run:
        assert run.wait_for(1)
        run.send(signal.SIGINT)
        run.wait_for_note("SIGINT")
        run.send(signal.SIGINT)
        stopped = run.end()
    assert stopped.status == 130


def test_stopped_while_rows_are_taken_in_nothing_of_them_is_left(folder: Folder) -> None:
    folder.texts("in.csv", 200_000)
    with traced(folder, [*COMMAND, "--json"], PYTHONUNBUFFERED="1") as run:
        run.wait_for_note("accepting")
        run.send(signal.SIGINT)
        stopped = run.end()
    assert (stopped.status, stopped.summary["id"], run.calls) == (130, None, [])


def test_a_signal_for_a_process_that_a_handler_forked_is_not_for_the_run(folder: Folder) -> None:
    folder.texts("in.csv", 3)
    folder.write(
        "work.py",
        "import os, signal, time\n"
        "def end(text):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        time.sleep(60)\n"
        "        os._exit(0)\n"
        "    os.kill(child, signal.SIGTERM)\n"
        "    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n",
    )
    done = folder.batch("in.csv", "work:end")
    assert (done.status, "SIGTERM" in done.err) == (0, False)
    assert [line["result"] for line in folder.lines("r.jsonl")] == [-signal.SIGTERM] * 3
