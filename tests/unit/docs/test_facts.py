"""Numbers, names and tables in the documents agree with the code."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

import wsaios
from wsaios.bootstrap import GRACE_S, LANES
from wsaios.cli.ledger import RETENTION_DAYS
from wsaios.components.executor.shelf import ROOM, ROWS_IN_MEMORY
from wsaios.door.line import RETRY_S
from wsaios.engines.local.engine import MAX_RESULT_BYTES
from wsaios.kernel.policy import Priority
from wsaios.kernel.retry import POISON_LOSSES, SUSPECT_DEATHS
from wsaios.kernel.task import (
    HISTORY_KEPT,
    IDEMPOTENCY_WINDOW_S,
    MAX_PAYLOAD_BYTES,
    PRIORITY_MAX,
    PRIORITY_MIN,
    effective,
)
from wsaios.planning.calls import CALLS, TRIES
from wsaios.scheduler.maintenance.prune import RETENTION_S

DOCS = Path(__file__).resolve().parents[3] / "docs"
DAY_S = 86_400


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(page: str, head: str) -> list[list[str]]:
    """The cells of the table under this first heading cell."""
    table = page.split(f"\n| {head} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)", cell)


@pytest.fixture
def handler() -> str:
    return text("how-to/write-a-handler.md")


def test_options_of_trying_stand_with_the_defaults_they_have(handler: str) -> None:
    table = {names(row[0])[0]: row[1].strip('`"').replace("none", "None") for row in rows(handler, "option")}
    assert set(table) == set(TRIES)
    defaults = effective(None, None)
    assert table.pop("delivery") == "at_least_once"
    assert not defaults.at_most_once
    values = {name: getattr(defaults, name) for name in table}
    assert table == {name: "None" if value is None else f"{value:g}" for name, value in values.items()}


def test_options_of_a_submission_are_all_there(handler: str) -> None:
    table = rows(handler.split("Only for a submission:", 1)[1], "option")
    assert {name for row in table for name in names(row[0])} == set(CALLS)


def test_the_members_of_a_context_are_all_there(handler: str) -> None:
    public = {name for name in vars(wsaios.Context) if not name.startswith("_")} - {"unsent"}
    assert {name for row in rows(handler, "`context.`") for name in names(row[0])} == public


def test_the_bound_on_waiting_is_the_one_of_the_policy() -> None:
    page = text("explanation/order.md")
    bound_s = Priority().longest_wait_us() // 1_000_000
    each_s = int(Priority().point_s)
    hours, rest = divmod(bound_s, 3600)
    assert f"({PRIORITY_MAX} − (−{-PRIORITY_MIN})) × {each_s} s = {bound_s:,} s = {hours} h {rest // 60} min" in page
    assert f"priority × {each_s} s" in page
    assert f"clamped to −{-PRIORITY_MIN} … {PRIORITY_MAX}" in page


def test_windows_and_lanes_have_the_sizes_that_are_told() -> None:
    page = text("explanation/order.md")
    assert f"up to {ROOM:,} rows" in page
    assert f"({ROWS_IN_MEMORY:,} together" in page
    slots = {lane.name: lane.slots for lane in LANES}
    assert f"`default` with {slots.pop('default')} slots" in page
    assert f"`thread` with {slots.pop('thread')} threads" in page
    assert not slots


def test_the_tables_of_the_ledger_are_all_described() -> None:
    folder = files("wsaios.ledger") / "sqlite" / "migrations"
    schema = "".join(entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".sql"))
    made = re.findall(r"^CREATE TABLE (\w+)", schema, re.MULTILINE)
    assert sorted(names(row[0])[0] for row in rows(text("explanation/ledger.md"), "table")) == sorted(made)


def test_times_and_bounds_are_those_of_the_code() -> None:
    ledger, crash, promise = (
        text(name) for name in ("explanation/ledger.md", "how-to/survive-a-crash.md", "explanation/promise.md")
    )
    assert f"the retention time ({RETENTION_S / DAY_S:g} days)" in ledger
    assert RETENTION_DAYS * DAY_S == RETENTION_S
    assert f"its window of {IDEMPOTENCY_WINDOW_S / DAY_S:g} days" in ledger
    assert f"a history of more than {HISTORY_KEPT}" in ledger
    assert f"stand for {IDEMPOTENCY_WINDOW_S / DAY_S:g} days" in crash
    assert f"`grace_s` ({GRACE_S:g}) seconds" in crash
    assert f"`retry_s` ({RETRY_S:g}) seconds" in text("how-to/use-another-process.md")
    assert MAX_RESULT_BYTES == MAX_PAYLOAD_BYTES == 1 << 20
    assert "JSON of at most 1 MiB" in promise
    assert POISON_LOSSES == SUSPECT_DEATHS == 3
    assert "When three workers have died" in text("explanation/states.md")


def test_public_names_that_are_mentioned_exist() -> None:
    pages = [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]
    imported = {
        name.strip()
        for page in pages
        for line in re.findall(r"^from wsaios import (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        for name in line.split(",")
    }
    dotted = {name for page in pages for name in re.findall(r"`wsaios\.([A-Z]\w+)", page.read_text(encoding="utf-8"))}
    assert imported | dotted
    assert sorted((imported | dotted) - set(wsaios.__all__)) == []
