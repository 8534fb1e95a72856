"""One table from errors to exit statuses."""

import json
from collections.abc import Iterator

import pytest
import typer

from wsaios.cli.errors import STATUSES, status_of, told
from wsaios.kernel import errors


def every_error(kind: type[errors.WsaiosError] = errors.WsaiosError) -> Iterator[type[errors.WsaiosError]]:
    yield kind
    for inner in kind.__subclasses__():
        if inner.__module__ == errors.__name__:
            yield from every_error(inner)


def blank(kind: type[errors.WsaiosError]) -> errors.WsaiosError:
    return kind.__new__(kind)


def test_every_error_has_a_status() -> None:
    assert {status_of(blank(kind)) for kind in every_error()} == {1, 2, 70, 75}


@pytest.mark.parametrize(
    "kind, status",
    [
        (errors.InvalidInput, 2),
        (errors.InputError, 2),
        (errors.UnknownHandler, 2),
        (errors.LedgerOwned, 2),
        (errors.LedgerUnavailable, 2),
        (errors.MissingExtra, 2),
        (errors.TaskFailed, 1),
        (errors.QueueFull, 75),
        (errors.Unacknowledged, 75),
        (errors.Fenced, 75),
        (errors.NoOwner, 75),
        (errors.IllegalTransition, 70),
    ],
)
def test_who_can_act_decides_the_status(kind: type[errors.WsaiosError], status: int) -> None:
    assert status_of(blank(kind)) == status


def test_no_line_of_the_table_is_hidden_by_one_before_it() -> None:
    for place, (kind, _) in enumerate(STATUSES):
        assert not any(issubclass(kind, earlier) for earlier, _ in STATUSES[:place])


def test_an_error_is_one_line_and_for_programs_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, told(as_json=True):
        raise errors.InputError("in.csv", "row 3", "no column 'a'")
    said = capsys.readouterr()
    assert (left.value.exit_code, said.err) == (2, "wsaios: in.csv, row 3: no column 'a'\n")
    assert json.loads(said.out) == {"error": {"type": "InputError", "message": "in.csv, row 3: no column 'a'"}}


def test_an_interrupt_leaves_as_shells_expect(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, told():
        raise KeyboardInterrupt
    assert (left.value.exit_code, capsys.readouterr().err) == (130, "\ninterrupted\n")


def test_what_is_no_error_of_ours_goes_on() -> None:
    with pytest.raises(ZeroDivisionError), told():
        raise ZeroDivisionError
