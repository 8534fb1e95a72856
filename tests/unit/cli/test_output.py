"""Tables, fields and JSON."""

from datetime import UTC, datetime

import pytest

from wsaios.cli.output import fields, plain, print_json, table
from wsaios.kernel.views import Transition, Why

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)


def test_columns_are_as_wide_as_their_widest_cell_and_numbers_stand_to_the_right() -> None:
    assert list(table(("name", "rows"), [("a", 1), ("longer", 12_345)])) == [
        "name      rows",
        "a            1",
        "longer  12,345",
    ]


def test_cells_read_like_words() -> None:
    assert list(table(("a", "b", "c"), [(True, None, AT)]))[1].split() == ["yes", "2026-01-02", "03:04:05"]


def test_fields_leave_out_what_is_not_there() -> None:
    assert list(fields([("a", 1), ("bc", None), ("d", ""), ("ef", False)])) == ["a   1", "ef  no"]
    assert list(fields([])) == []


def test_structs_and_named_tuples_are_written_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    print_json([plain(Why("task_1", "ready", "slot", "full", AT)), plain(Transition("new", "ready", AT, 1, None))])
    assert capsys.readouterr().out == (
        '[{"id":"task_1","state":"ready","waits_for":"slot","detail":"full","since":"2026-01-02T03:04:05.678000Z",'
        '"ahead":null,"starts_in_s":null,"deadline":null,"in_time":null},'
        '{"from_state":"new","to_state":"ready","at":"2026-01-02T03:04:05.678000Z","fence":1,"reason":null}]\n'
    )
