"""The last lines of a run."""

from msgspec.structs import replace

from wsaios.cli.running import told_of
from wsaios.sdk.batch_summary import Summary

DONE = Summary(
    id="batch_1",
    finished=True,
    rows=1200,
    succeeded=1200,
    failed=0,
    cancelled=0,
    expired=0,
    lost=0,
    ran=1200,
    seconds=2.0,
    out="/x/r.jsonl",
    errors=None,
    ledger="sqlite:///wsaios.db",
)


def test_a_finished_batch() -> None:
    assert list(told_of(DONE, "in.csv")) == [
        "batch_1 of in.csv: 1,200 rows, 1,200 succeeded, 0 failed",
        "1,200 rows in 2.0 s (600 rows/s)",
        "results: /x/r.jsonl",
    ]


def test_a_batch_that_went_on_and_had_failures() -> None:
    summary = replace(DONE, succeeded=1190, failed=8, lost=2, ran=200, errors="/x/r.errors.jsonl")
    assert list(told_of(summary, "in.csv")) == [
        "batch_1 of in.csv: 1,200 rows, 1,190 succeeded, 8 failed, 2 lost",
        "200 rows in 2.0 s (100 rows/s), 1,000 before",
        "results: /x/r.jsonl",
        "errors:  /x/r.errors.jsonl",
        "to run them again: wsaios batch replay batch_1, then the same command",
    ]


def test_a_batch_that_was_finished_before() -> None:
    assert (
        list(told_of(replace(DONE, ran=0), "in.csv"))[1]
        == "it was finished before; nothing had to run (--fresh runs it anew)"
    )


def test_one_row_is_a_row() -> None:
    summary = replace(DONE, rows=1, succeeded=1, ran=1, seconds=0.5)
    assert list(told_of(summary, "in.csv"))[:2] == [
        "batch_1 of in.csv: 1 row, 1 succeeded, 0 failed",
        "1 row in 0.5 s (2.0 rows/s)",
    ]


def test_a_batch_that_was_stopped() -> None:
    summary = replace(DONE, finished=False, succeeded=100, ran=100)
    assert list(told_of(summary, "in.csv")) == [
        "batch_1 of in.csv stopped: 100 succeeded, 0 failed, 1,100 to go of 1,200 rows",
        "run the same command again to go on",
    ]


def test_one_that_was_stopped_before_it_was_accepted() -> None:
    summary = replace(DONE, id=None, finished=False, succeeded=0, ran=0)
    assert next(told_of(summary, "in.csv")) == "in.csv stopped: 0 succeeded, 0 failed, 1,200 to go of 1,200 rows"
