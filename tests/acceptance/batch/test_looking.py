"""The commands that look and act, on a ledger that nobody owns and through the door of a live scheduler."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.acceptance.batch.folder import Folder, batch_arguments, traced
from wsaios import Scheduler
from wsaios.kernel.ids import encode


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, str]:
    """A folder with a batch of which rows 3 and 13 failed."""
    folder = Folder(tmp_path_factory.mktemp("finished") / "work")
    folder.texts("in.csv", 14)
    done = folder.batch("in.csv", "work:picky", "--max-attempts", "1", "--json")
    return folder, done.summary["id"]


@pytest.fixture
async def owned(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Folder, Scheduler]]:
    """A live scheduler with a handler that waits and one that fails."""
    monkeypatch.chdir(folder.path)
    scheduler = Scheduler("sqlite:///wsaios.db", grace_s=0.1)

    @scheduler.handler("waits")
    async def waits(text: str) -> str:
        await asyncio.Event().wait()
        return text

    @scheduler.handler("fails", max_attempts=1)
    async def fails(text: str) -> str:
        raise ValueError(text)

    async with scheduler:
        yield folder, scheduler


def asked(folder: Folder, *arguments: str) -> Any:
    done = folder.run(*arguments, "--json")
    assert (done.status, done.err) == (0, "")
    return done.json


def test_batches_are_listed_with_their_counts(finished: tuple[Folder, str]) -> None:
    folder, batch_id = finished
    (view,) = asked(folder, "batch", "list")
    assert (view["id"], view["rows"], view["done"], view["finished"]) == (batch_id, 14, 14, True)
    assert view["ended"] == {"succeeded": 12, "failed": 2}
    text = folder.run("batch", "list").out
    assert "more" not in text
    assert "perhaps more" in folder.run("batch", "list", "--limit", "1").out
    assert [part for part in (batch_id, "finished", "in.csv", "work:picky", "14") if part not in text] == []


def test_a_batch_says_where_it_stands_and_where_its_files_are(finished: tuple[Folder, str]) -> None:
    folder, batch_id = finished
    view = asked(folder, "batch", "status", batch_id)
    assert (view["id"], view["meta"]["out"]) == (batch_id, str(folder.path / "r.jsonl"))
    text = folder.run("batch", "status", batch_id).out
    assert [part for part in ("succeeded", "12", "failed", "r.jsonl", "in.csv") if part not in text] == []


def test_errors_of_a_batch_are_its_rows_without_a_result(finished: tuple[Folder, str]) -> None:
    folder, batch_id = finished
    found = asked(folder, "batch", "errors", batch_id)
    assert [(each["id"], each["row"], each["type"], each["message"]) for each in found] == [
        (3, 3, "ValueError", "no threes: text 3"),
        (13, 13, "ValueError", "no threes: text 13"),
    ]
    columns = ("id", "row", "type", "message")
    assert [{name: each[name] for name in columns} for each in found] == folder.lines("r.errors.jsonl")
    assert folder.run("batch", "errors", batch_id).out.splitlines()[0].split()[:4] == list(columns)
    assert len(asked(folder, "batch", "errors", batch_id, "--limit", "1")) == 1
    assert "1 more" in folder.run("batch", "errors", batch_id, "--limit", "1").out


def test_errors_of_a_batch_carry_the_ids_of_the_column_as_long_as_the_input_is_there(folder: Folder) -> None:
    folder.texts("in.csv", 14)
    batch_id = folder.batch("in.csv", "work:picky", "--id", "text", "--max-attempts", "1", "--json").summary["id"]
    found = asked(folder, "batch", "errors", batch_id)
    assert [(each["id"], each["row"]) for each in found] == [("text 3", 3), ("text 13", 13)]
    with (folder.path / "in.csv").open("a") as file:
        file.write("another\n")
    done = folder.run("batch", "errors", batch_id, "--json")
    assert [(each["id"], each["row"]) for each in done.json] == [(None, 3), (None, 13)]
    assert "in.csv" in done.err


def test_tasks_are_listed_by_state_and_shown_with_result_or_failure(finished: tuple[Folder, str]) -> None:
    folder, batch_id = finished
    failed = asked(folder, "task", "list", "--state", "failed")
    assert [task["batch"] for task in failed] == [batch_id] * 2
    shown = folder.run("task", "show", failed[0]["id"])
    assert "no threes: text 3" in shown.out
    assert "work.py" in shown.out
    first = asked(folder, "task", "list", "--limit", "1")[0]
    assert asked(folder, "task", "show", first["id"])["result"] == "text 1"
    second = asked(folder, "task", "list", "--limit", "1", "--after", first["id"])[0]
    assert asked(folder, "task", "show", second["id"])["result"] == "text 2"


def test_history_and_why_of_a_task_that_ended(finished: tuple[Folder, str]) -> None:
    folder, _ = finished
    first = asked(folder, "task", "list", "--limit", "1")[0]["id"]
    changes = [(each["from_state"], each["to_state"]) for each in asked(folder, "task", "history", first)]
    assert changes == [("new", "pending"), ("pending", "ready"), ("ready", "running"), ("running", "succeeded")]
    assert asked(folder, "task", "why", first)["waits_for"] == "nothing"
    assert f"{first} is succeeded" in folder.run("task", "why", first).out


def test_what_does_not_exist_or_does_not_fit_is_refused(finished: tuple[Folder, str]) -> None:
    folder, batch_id = finished
    first = asked(folder, "task", "list", "--limit", "1")[0]["id"]
    nobody = "task_0000000000000"
    cases = {
        ("task", "show", nobody): f"no task {nobody}",
        ("task", "why", "batch"): "'batch' is not a task id",
        ("task", "cancel", nobody): f"no task {nobody}",
        ("task", "cancel", first): "it is succeeded",
        ("task", "replay", first): "it is succeeded",
        ("task", "list", "--state", "tired"): "no state is called 'tired'",
        ("batch", "status", "batch_0000000000000"): "no batch batch_0000000000000",
        ("batch", "cancel", "batch_0000000000000"): "no batch batch_0000000000000",
        ("batch", "errors", first): "is not a batch id",
        ("batch", "list", "--ledger", "none.db"): "no such ledger",
        ("ledger", "check", "--ledger", "none.db"): "no such ledger",
        ("ledger", "backup", "copy.db", "--ledger", "none.db"): "no such ledger",
        ("ledger", "copy", "none.db", "copy.db"): "no such ledger",
        ("ledger", "copy", "wsaios.db", "sqlite:///wsaios.db"): "is FROM itself",
        ("ledger", "prune", "--ledger", "none.db"): "no such ledger",
        ("ledger", "prune", "--older-than-days", "nan"): "--older-than-days: must be a number of days",
        ("ledger", "backup", "in.csv"): "in.csv is there already",
        ("ledger", "backup", "wsaios.db"): "is the ledger itself",
        ("ledger", "backup", "x", "--ledger", "postgresql://me:secret@db/w"): "pg_dump --schema=wsaios",
    }
    for arguments, said in cases.items():
        done = folder.run(*arguments)
        assert (arguments, done.status, said in done.err, done.out) == (arguments, 2, True, "")
    assert batch_id not in folder.names()


def test_a_row_in_line_says_that_no_scheduler_lives_when_none_does(folder: Folder) -> None:
    folder.texts("in.csv", 40)
    folder.batch("in.csv", "work:shout", WSAIOS_FAILPOINT="driver.before_dispatch")
    last = asked(folder, "task", "list", "--state", "ready")[-1]
    why = asked(folder, "task", "why", last["id"])
    assert (why["detail"], why["waits_for"]) == ("no scheduler owns this ledger now", "slot")
    assert why["ahead"] > 0
    assert last["reason"] is None
    (first, *_) = asked(folder, "task", "list", "--state", "running")
    died = asked(folder, "task", "why", first["id"])
    assert died["detail"] == "attempt 1 was running; no scheduler owns this ledger now"


def test_a_row_in_line_names_the_batch_run_that_lets_nobody_in(folder: Folder) -> None:
    folder.texts("in.csv", 40)
    with traced(folder, batch_arguments("in.csv", "work:endless")) as run:
        run.wait_for(1)
        last = asked(folder, "task", "list", "--state", "ready")[-1]
        first = asked(folder, "task", "list", "--state", "running")[0]
        for task in (first, last):
            detail = asked(folder, "task", "why", task["id"])["detail"]
            assert "'batch run of in.csv'" in detail
            assert f"pid {run.process.pid}" in detail


def test_what_a_handler_says_stays_in_its_cell(folder: Folder) -> None:
    folder.texts("in.csv", 1)
    folder.write("work.py", "def f(text):\n    raise ValueError('one\\ntwo \\x1b[31mred')\n")
    batch_id = folder.batch("in.csv", "work:f", "--max-attempts", "1", "--json").summary["id"]
    assert len(folder.run("batch", "errors", batch_id).out.splitlines()) == 2
    (task,) = asked(folder, "task", "list")
    for command in (("task", "show", task["id"]), ("task", "history", task["id"]), ("task", "list")):
        assert "\x1b" not in folder.run(*command).out
    assert len(folder.run("task", "history", task["id"]).out.splitlines()) == 5
    assert "two \\x1b[31mred" in folder.run("task", "show", task["id"]).out
    assert asked(folder, "batch", "errors", batch_id)[0]["message"] == "one\ntwo \x1b[31mred"


def test_failed_rows_of_a_batch_are_replayed_together(folder: Folder) -> None:
    folder.texts("in.csv", 14)
    command = ("in.csv", "work:picky", "--max-attempts", "1")
    batch_id = folder.batch(*command, "--json").summary["id"]
    assert folder.run("batch", "replay", batch_id).out == f"{batch_id}: 2 rows wait to run again\n"
    assert asked(folder, "batch", "replay", batch_id) == {"id": batch_id, "replayed": 0}
    folder.write("work.py", "import os\n\ndef picky(text):\n    os.write(1, b'called\\n')\n    return 'mended'\n")
    done = folder.batch(*command)
    assert (done.status, done.out.count("called")) == (0, 2)
    assert [line["id"] for line in folder.lines("r.jsonl") if line["result"] == "mended"] == [3, 13]
    assert "r.errors.jsonl" not in folder.names()


def test_a_task_is_replayed_without_an_owner_and_runs_with_the_next_one(folder: Folder) -> None:
    folder.texts("in.csv", 3)
    folder.batch("in.csv", "work:picky", "--max-attempts", "1")
    (failed,) = asked(folder, "task", "list", "--state", "failed")
    assert asked(folder, "task", "replay", failed["id"])["state"] == "ready"
    folder.write("work.py", "def picky(text):\n    return 'mended'\n")
    assert folder.batch("in.csv", "work:picky", "--max-attempts", "1").status == 0
    assert folder.lines("r.jsonl")[2] == {"id": 3, "result": "mended"}
    assert "r.errors.jsonl" not in folder.names()


def test_a_cancelled_batch_ends_with_the_rows_it_had(folder: Folder) -> None:
    folder.texts("in.csv", 5)
    folder.batch("in.csv", "work:shout", WSAIOS_FAILPOINT="driver.before_dispatch")
    (view,) = asked(folder, "batch", "list")
    assert asked(folder, "batch", "cancel", view["id"])["cancelled"] == 5
    done = folder.batch("in.csv", "work:shout")
    assert (done.status, folder.lines("r.jsonl"), len(folder.lines("r.errors.jsonl"))) == (1, [], 5)
    assert folder.lines("r.errors.jsonl")[0]["type"] == "Cancelled"


async def test_through_the_door_a_running_task_is_seen_and_cancelled(owned: tuple[Folder, Scheduler]) -> None:
    folder, scheduler = owned
    task = await scheduler.submit("waits", {"text": "a"})
    (seen,) = await asyncio.to_thread(asked, folder, "task", "list", "--state", "running")
    assert seen["id"] == task.id
    said = await asyncio.to_thread(folder.run, "task", "cancel", task.id, "--reason", "enough")
    assert (said.status, said.out) == (0, f"{task.id} is cancelled\n")
    assert (await task.status()).reason == "enough"


async def test_through_the_door_a_failed_task_is_replayed(owned: tuple[Folder, Scheduler]) -> None:
    folder, scheduler = owned
    batch = await scheduler.submit_many("fails", [{"text": "a"}, {"text": "b"}])
    await batch.wait(timeout_s=30)
    assert len(await asyncio.to_thread(asked, folder, "batch", "errors", batch.id)) == 2
    await asyncio.to_thread(asked, folder, "task", "replay", batch[0].id)
    await batch.wait(timeout_s=30)
    states = [line.to_state for line in await batch[0].history()]
    assert states[-4:] == ["failed", "ready", "running", "failed"]


def test_a_sound_ledger_and_one_that_contradicts_itself(finished: tuple[Folder, str], folder: Folder) -> None:
    assert asked(finished[0], "ledger", "check") == {"sound": True, "contradictions": []}
    ledger = folder.write("wsaios.db", finished[0].read("wsaios.db"))
    spoilt(ledger)
    done = folder.run("ledger", "check")
    assert (done.status, "shards count their tasks wrongly" in done.out) == (1, True)


def test_a_copy_on_a_terminal_and_for_programs(finished: tuple[Folder, str]) -> None:
    folder, batch_id = finished
    done = folder.run("ledger", "backup", "copy.db")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("copy.db: ")
    size = (folder.path / "copy.db").stat().st_size
    assert asked(folder, "ledger", "backup", "other.db") == {"file": "other.db", "bytes": size}
    assert asked(folder, "batch", "status", batch_id, "--ledger", "copy.db")["id"] == batch_id
    assert asked(folder, "ledger", "check", "--ledger", "other.db")["sound"]


async def test_a_copy_from_under_a_live_scheduler_has_all_that_was_acknowledged_before(
    owned: tuple[Folder, Scheduler],
) -> None:
    folder, scheduler = owned
    before = {task.id for task in await asyncio.gather(*(scheduler.submit("waits", {"text": "a"}) for _ in range(500)))}
    copied = asyncio.create_task(asyncio.to_thread(asked, folder, "ledger", "backup", "copy.db"))
    meanwhile = set()
    while not copied.done():
        meanwhile.add((await scheduler.submit("waits", {"text": "b"})).id)
    await copied
    assert len(meanwhile) > 20
    connection = apsw.Connection(str(folder.path / "copy.db"), flags=apsw.SQLITE_OPEN_READONLY)
    found = {encode(number) for (number,) in connection.execute("SELECT id FROM live")}
    connection.close()
    assert before <= found <= before | meanwhile
    assert (await asyncio.to_thread(asked, folder, "ledger", "check", "--ledger", "copy.db"))["sound"]
    successor = Scheduler("sqlite:///copy.db", grace_s=0.1)
    ran = []

    @successor.handler("waits")
    async def says(text: str) -> None:
        ran.append(text)
        if len(ran) == len(found):
            done.set()

    done = asyncio.Event()
    async with successor:
        await asyncio.wait_for(done.wait(), 30)
    assert ran.count("a") == len(before)


def test_doctor_finds_nothing_wrong_with_a_finished_batch(finished: tuple[Folder, str]) -> None:
    health = asked(finished[0], "doctor")
    assert (health["wrong"], health["owner"], health["ended"]) == ([], "", {"succeeded": 12, "failed": 2})
    assert health["fdatasync_ms"] > 0
    assert {"wsaios", "Python", "SQLite"} <= health["versions"].keys()
    text = finished[0].run("doctor").out
    assert [part for part in ("nothing is wrong", "none runs", "12 succeeded", "fdatasync") if part not in text] == []


def test_doctor_says_what_waits_for_a_scheduler_and_what_to_do(folder: Folder) -> None:
    folder.texts("in.csv", 5)
    for _ in range(3):
        folder.batch("in.csv", "work:shout", WSAIOS_FAILPOINT="driver.before_dispatch")
    done = folder.run("doctor")
    assert done.status == 1
    assert "5 tasks have not ended and no scheduler runs" in done.out
    assert "was in flight at several deaths of its owner" in done.out
    assert "do: " in done.out


def test_doctor_says_what_is_wrong_with_a_file_that_is_no_ledger(folder: Folder) -> None:
    folder.write("wsaios.db", "text" * 1000)
    done = folder.run("doctor")
    assert (done.status, "not a SQLite database" in done.out) == (1, True)


def test_doctor_has_nothing_to_say_about_a_ledger_that_is_not_there_yet(folder: Folder) -> None:
    done = folder.run("doctor")
    assert (done.status, "not there yet" in done.out, "wsaios.db" in folder.names()) == (0, True, False)


async def test_what_ended_goes_only_while_no_scheduler_lives(owned: tuple[Folder, Scheduler]) -> None:
    folder, scheduler = owned
    await asyncio.wait([asyncio.ensure_future((await scheduler.submit("fails", {"text": "a"})).result())])
    refused = await asyncio.to_thread(folder.run, "ledger", "prune", "--older-than-days", "0")
    assert (refused.status, refused.out, f"(pid {os.getpid()} " in refused.err) == (2, "", True)
    await scheduler.stop()
    assert (await asyncio.to_thread(folder.run, "ledger", "prune")).out == "0 rows removed\n"
    assert await asyncio.to_thread(asked, folder, "ledger", "prune", "--older-than-days", "0") == {"rows": 1}
    assert await asyncio.to_thread(asked, folder, "ledger", "check") == {"sound": True, "contradictions": []}


async def test_a_ledger_moves_only_while_no_scheduler_lives(owned: tuple[Folder, Scheduler]) -> None:
    folder, scheduler = owned
    await scheduler.submit("fails", {"text": "a"}, delay_s=3600)
    move = ("ledger", "copy", "wsaios.db", "copy.db")
    refused = await asyncio.to_thread(folder.run, *move)
    assert (refused.status, refused.out, f"(pid {os.getpid()} " in refused.err) == (2, "", True)
    assert "copy.db" not in folder.names()
    await scheduler.stop()
    moved = await asyncio.to_thread(folder.run, *move)
    first, *others = moved.out.splitlines()
    assert (moved.status, first) == (0, "3 rows copied: 1 in shard, 1 in live, 1 in payload")
    assert others == [
        "every table is the same on both sides, and the copy is sound",
        "start schedulers on the copy from now on, and none on the original: what waits would run in both",
    ]
    again = await asyncio.to_thread(asked, folder, *move)
    assert (again["rows"], again["earlier"], again["tables"]["live"]) == (3, 3, 1)
    assert await asyncio.to_thread(asked, folder, "ledger", "check", "--ledger", "copy.db") == {
        "sound": True,
        "contradictions": [],
    }


async def test_doctor_names_the_live_owner(owned: tuple[Folder, Scheduler]) -> None:
    folder, _ = owned
    health = await asyncio.to_thread(asked, folder, "doctor")
    assert f"pid {os.getpid()}" in health["owner"]
    assert health["wrong"] == []


def spoilt(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE shard SET tasks = tasks + 1")
    connection.close()
