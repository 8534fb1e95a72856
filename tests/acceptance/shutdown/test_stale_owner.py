"""An owner that was stopped, lost its ledger to another one and then goes on: it can no longer write."""

import signal
import time
from pathlib import Path

import apsw

from tests.acceptance.shutdown.running import LIMIT_S, LOOK_S, executions, program, release, started

LONG_S = 600.0


def outcomes(folder: Path) -> list[tuple[str, int]]:
    connection = apsw.Connection(str(folder / "work.db"))
    rows = connection.execute("SELECT CAST(result AS TEXT), fence FROM outcome ORDER BY id").fetchall()
    connection.close()
    return [(str(result), int(str(fence))) for result, fence in rows]


def test_a_stale_owner_stands_down_and_changes_nothing(tmp_path: Path) -> None:
    names = ("coroutine", "thread")
    with started(program(tmp_path, LONG_S, *names), tmp_path) as first:
        first.serving()
        first.tell(signal.SIGSTOP)
        # Without its lock file a ledger looks free: what is left to guard it is the epoch in every commit.
        (tmp_path / "work.db.lock").unlink()
        release(tmp_path)
        with started(program(tmp_path, LONG_S), tmp_path) as second:
            second.serving()
            until_s = time.monotonic() + LIMIT_S
            while len(outcomes(tmp_path)) < len(names) and time.monotonic() < until_s:
                time.sleep(LOOK_S)
            second.tell(signal.SIGTERM)
            second.end()
            successor = second.process.pid
        ended = outcomes(tmp_path)

        first.tell(signal.SIGCONT)
        first.errors_say("another owner took the ledger")
        # It ends by itself, and says so to whatever started it.
        first.errors_say("wsaios.kernel.errors.Fenced")
        assert first.process.wait(LIMIT_S) == 1

    assert executions(tmp_path) == dict.fromkeys(names, 2)
    assert [result.endswith(f' {successor}"') for result, _ in ended] == [True, True]
    assert outcomes(tmp_path) == ended
