"""Whose files are whose: one batch for one --out, --fresh to change that, and one owner for one ledger."""

import os
import time

import pytest

from tests.acceptance.batch.folder import Folder, batch_arguments, traced
from wsaios.ledger.sqlite import SqliteLedger

OTHERS = {
    "another file": (("b.csv",), "the content of the input"),
    "another handler": (("a.csv", "work:picky"), "--handler"),
    "another mapping": (("a.csv", "work:shout", "--map", "text=name"), "--map"),
    "another id": (("a.csv", "work:shout", "--id", "name"), "--id"),
    "another limit": (("a.csv", "work:shout", "--limit", "2"), "--limit"),
    "more attempts": (("a.csv", "work:shout", "--max-attempts", "5"), "--max-attempts"),
}


def command(source: str, handler: str = "work:shout", *options: str) -> list[str]:
    mapped = () if "--map" in options else ("--map", "text=text")
    return ["batch", "run", source, "--handler", handler, *mapped, *options, "--out", "r.jsonl"]


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_another_batch_under_the_same_out_is_refused_and_says_what_differs(folder: Folder, name: str) -> None:
    arguments, difference = OTHERS[name]
    folder.texts("a.csv", 5)
    folder.texts("b.csv", 6)
    first = folder.run(*command("a.csv"), "--json")
    results = folder.read("r.jsonl")
    done = folder.run(*command(*arguments))
    assert (done.status, done.out, folder.read("r.jsonl")) == (2, "", results)
    assert f"r.jsonl belongs to {first.summary['id']} of a.csv, which differs in {difference}" in done.err
    assert "--fresh" in done.err


def test_an_input_that_changed_before_the_batch_was_done_is_another_one(folder: Folder) -> None:
    folder.texts("a.csv", 5)
    assert folder.run(*command("a.csv"), WSAIOS_FAILPOINT="batch.before_rename").status == -9
    folder.texts("a.csv", 6)
    done = folder.run(*command("a.csv"))
    assert (done.status, "the content of the input" in done.err) == (2, True)
    assert "r.jsonl" not in folder.names()
    assert folder.run(*command("a.csv"), "--fresh").status == 0
    assert len(folder.lines("r.jsonl")) == 6


@pytest.mark.parametrize("out", ["wsaios.db", "wsaios.db-wal", "wsaios.db.lock", "./wsaios.db"])
def test_results_never_go_where_the_ledger_is(folder: Folder, out: str) -> None:
    folder.texts("a.csv", 5)
    for before in (0, 5):
        done = folder.run(*command("a.csv", "work:shout", "--fresh")[:-1], out)
        assert (done.status, done.out) == (2, "")
        assert "--out" in done.err
        assert "ledger" in done.err
        if before:
            assert len(folder.ended()) == before
        assert folder.run(*command("a.csv")).status == 0


@pytest.mark.parametrize("fresh", [(), ("--fresh",)])
def test_the_errors_of_one_batch_never_meet_the_results_of_another(folder: Folder, fresh: tuple[str, ...]) -> None:
    folder.texts("a.csv", 5)
    folder.texts("b.csv", 6)
    assert folder.batch("a.csv", "work:shout").status == 0
    second = folder.batch("b.csv", "work:shout", *fresh, "--json", out="r.errors.jsonl")
    if not fresh:
        assert second.status == 2
        assert "belongs to" in second.err
        return
    assert second.status == 0
    done = folder.batch("a.csv", "work:shout")
    assert (done.status, len(folder.lines("r.errors.jsonl"))) == (2, 6)
    assert f"r.errors.jsonl belongs to {second.summary['id']}" in done.err


def test_the_same_batch_under_another_out_is_not_run_again(folder: Folder) -> None:
    folder.texts("a.csv", 5)
    first = folder.batch("a.csv", "work:shout", "--json", out="one.jsonl")
    second = folder.batch("a.csv", "work:shout", "--json", out="two.jsonl")
    assert (second.status, second.summary["id"], second.summary["ran"]) == (0, first.summary["id"], 0)
    assert folder.read("one.jsonl") == folder.read("two.jsonl")
    folder.write("three.jsonl", "precious")
    assert folder.batch("a.csv", "work:shout", out="three.jsonl").status == 2
    assert folder.read("three.jsonl") == b"precious"


def test_fresh_runs_every_row_anew_and_is_the_batch_from_then_on(folder: Folder) -> None:
    folder.texts("a.csv", 5)
    first = folder.batch("a.csv", "work:shout", "--json")
    fresh = folder.batch("a.csv", "work:shout", "--json", "--fresh")
    again = folder.batch("a.csv", "work:shout", "--json")
    assert fresh.summary["id"] == again.summary["id"] != first.summary["id"]
    assert (fresh.summary["ran"], again.summary["ran"]) == (5, 0)


def test_fresh_gives_up_what_an_unfinished_run_left(folder: Folder) -> None:
    folder.texts("a.csv", 5)
    assert folder.run(*command("a.csv"), WSAIOS_FAILPOINT="driver.before_dispatch").status == -9
    fresh = folder.run(*command("a.csv"), "--fresh", "--json")
    assert (fresh.status, fresh.summary["succeeded"], len(folder.ended())) == (0, 5, 5)
    again = folder.run(*command("a.csv"), "--json")
    assert (again.summary["id"], again.summary["ran"]) == (fresh.summary["id"], 0)


def test_resume_with_nothing_to_resume_says_so_and_starts(folder: Folder) -> None:
    folder.texts("a.csv", 3)
    done = folder.run(*command("a.csv"), "--resume")
    assert (done.status, "nothing to resume" in done.err) == (0, True)
    assert len(folder.lines("r.jsonl")) == 3


def test_a_ledger_with_a_live_owner_is_left_alone(folder: Folder) -> None:
    folder.texts("a.csv", 3)
    owner = SqliteLedger(folder.path / "wsaios.db")
    owner.open(time.time_ns() // 1000, "the night shift")
    try:
        done = folder.run(*batch_arguments("a.csv", "work:shout"))
    finally:
        owner.close()
    assert (done.status, done.out, "r.jsonl" in folder.names()) == (2, "", False)
    assert [part for part in ("the night shift", f"pid {os.getpid()}", "--ledger") if part not in done.err] == []


def test_the_ledger_is_what_ledger_or_the_environment_says(folder: Folder) -> None:
    folder.texts("a.csv", 3)
    assert folder.run(*command("a.csv"), WSAIOS_LEDGER="sqlite:///one.db").status == 0
    assert folder.run(*command("a.csv"), "--ledger", "two.db", "--fresh", WSAIOS_LEDGER="sqlite:///one.db").status == 0
    assert {"one.db", "two.db"} <= folder.names()
    assert "wsaios.db" not in folder.names()


def test_it_serves_no_door(folder: Folder) -> None:
    folder.texts("a.csv", 3)
    with traced(folder, batch_arguments("a.csv", "work:endless")) as run:
        assert run.wait_for(3)
        assert not [path for path in folder.path.iterdir() if path.is_socket()]
