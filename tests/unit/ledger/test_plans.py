"""How SQLite goes about the statements: by index and by row, never through a whole table that may be large."""

from collections.abc import Iterator

import apsw
import pytest

from wsaios.ledger.statements import migrations, statements

LARGE = {"live", "outcome", "payload", "checkpoint", "history_part", "link", "idempotency", "fact_log"}
# Counts for people read everything on purpose; whether there is any row ends with the first.
WHOLE = {"totals_live", "totals_ended", "checkpoints_any", "copy_counts", "copy_forget_log"}
STATEMENTS = statements("sqlite", "commit", "answers", "opening", "reads", "upkeep", "copy")
MARK = "copy_mark_make"
SQL = {name: text for name, text in STATEMENTS.items() if not name.startswith("check_") and name not in {*WHOLE, MARK}}


class _Anything(dict[str, object]):
    def __missing__(self, key: str) -> object:
        return "[]"


@pytest.fixture(scope="module")
def connection() -> Iterator[apsw.Connection]:
    made = apsw.Connection(":memory:")
    for step in migrations("sqlite"):
        made.execute(step)
    made.execute(STATEMENTS[MARK])
    yield made
    made.close()


def _plan(connection: apsw.Connection, text: str) -> list[str]:
    return [str(row[-1]) for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", _Anything())]


@pytest.mark.parametrize("name", sorted(SQL))
def test_no_large_table_is_read_as_a_whole(connection: apsw.Connection, name: str) -> None:
    for step in _plan(connection, SQL[name]):
        words = step.split()
        # Following an index in its order under a LIMIT is a scan that ends early.
        bounded = "LIMIT" in SQL[name] and "USING" in words
        assert not (words[0] == "SCAN" and words[1] in LARGE and not bounded), step


@pytest.mark.parametrize(
    "name, expected",
    [
        ("ready_after", "SEARCH live USING INDEX live_ready (shard=? AND key=? AND id>?)"),
        ("ready_after", "SEARCH live USING INDEX live_ready (shard=? AND key>?)"),
        ("due_after", "SEARCH live USING INDEX live_due (due_us=? AND id>?)"),
        ("due_after", "SEARCH live USING INDEX live_due (due_us>?)"),
        ("expiring_after", "SEARCH live USING INDEX live_expiring (expires_us=? AND id>?)"),
        ("expiring_after", "SEARCH live USING INDEX live_expiring (expires_us>?)"),
        ("tasks_running", "SEARCH live USING INDEX live_by_state (state=?)"),
        ("live_after", "SEARCH live USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ("unsuccessful_after", "SEARCH outcome USING INDEX outcome_unsuccessful (id>? AND id<?)"),
        ("tasks_change", "SEARCH live USING INTEGER PRIMARY KEY (rowid=?)"),
        ("outcomes_add", "SEARCH live USING INTEGER PRIMARY KEY (rowid=?)"),
        ("outcomes_recall", "SEARCH old USING INTEGER PRIMARY KEY (rowid=?)"),
        ("tasks_remove", "SEARCH live USING INTEGER PRIMARY KEY (rowid=?)"),
        ("purge_choose", "SEARCH live USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ("ahead", "SEARCH live USING COVERING INDEX live_ready (shard=? AND key<?)"),
        ("ahead", "SEARCH live USING COVERING INDEX live_ready (shard=? AND key=? AND id<?)"),
        ("prune_choose", "SEARCH outcome USING COVERING INDEX outcome_by_end (ended_us>? AND ended_us<?)"),
        ("shards_ready", "SEARCH live USING COVERING INDEX live_ready (shard>?)"),
        ("keys_of", "SEARCH row USING PRIMARY KEY (tenant=? AND key=?)"),
        ("links_of", "SEARCH link USING PRIMARY KEY (parent=?)"),
        ("links_remove_child", "SEARCH link USING COVERING INDEX link_by_child (child=?)"),
    ],
)
def test_the_index_that_was_made_for_it_is_used(connection: apsw.Connection, name: str, expected: str) -> None:
    assert expected in _plan(connection, SQL[name])


def test_an_order_that_an_index_has_is_not_sorted_again(connection: apsw.Connection) -> None:
    for name in (
        "ready_after",
        "due_after",
        "expiring_after",
        "live_after",
        "tasks_running",
        "links_of",
        "prune_choose",
    ):
        assert not [step for step in _plan(connection, SQL[name]) if "TEMP B-TREE FOR ORDER BY" in step], name
