"""The table of changes is whole, and ends are ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaios.kernel.states import ALLOWED, ENDED, TRANSITIONS, WAITING, State, by_word
from wsaios.kernel.task import ended


def test_every_state_has_a_row_in_the_table() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {(was, then) for was, row in TRANSITIONS.items() for then in row} == ALLOWED


def test_a_state_is_new_or_waits_or_runs_or_has_ended() -> None:
    assert set(State) == {State.NEW, State.RUNNING} | WAITING | ENDED
    assert not WAITING & ENDED
    assert [state for state in State if ended(state)] == sorted(ENDED)


def test_every_state_can_be_reached_and_every_life_can_end() -> None:
    reached, ends = {State.NEW}, set(ENDED)
    for _ in State:
        reached |= {then for was, then in ALLOWED if was in reached}
        ends |= {was for was, then in ALLOWED if then in ends}

    assert reached == set(State)
    assert ends == set(State)


def test_only_what_failed_or_was_lost_lives_again() -> None:
    assert {was for was, then in ALLOWED if was in ENDED} == {State.FAILED, State.LOST}
    assert {then for was, then in ALLOWED if was in ENDED} == {State.READY}


def test_nothing_starts_but_what_is_ready_and_nothing_succeeds_but_what_runs() -> None:
    assert {was for was, then in ALLOWED if then == State.RUNNING} == {State.READY}
    assert {was for was, then in ALLOWED if then in {State.SUCCEEDED, State.LOST}} == {State.RUNNING}
    assert {was for was, then in ALLOWED if then == State.FAILED} == {State.RUNNING, State.PENDING}
    assert {was for was, then in ALLOWED if then == State.EXPIRED} == {State.PENDING, State.READY, State.PAUSED}


def test_the_numbers_that_the_ledger_stores_stay_what_they_are() -> None:
    assert {state.word: int(state) for state in State} == {
        "new": 0,
        "pending": 1,
        "ready": 2,
        "running": 3,
        "retrying": 4,
        "paused": 5,
        "succeeded": 6,
        "failed": 7,
        "cancelled": 8,
        "expired": 9,
        "lost": 10,
    }


@given(st.sampled_from(State))
def test_a_state_is_found_by_its_word(state: State) -> None:
    assert by_word(state.word) == state


def test_a_word_of_no_state_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no state is called 'done'.*succeeded"):
        by_word("done")
