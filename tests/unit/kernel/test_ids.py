"""Ids grow, never repeat, and a run of any length is a few numbers."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaios.kernel.ids import EPOCH_MS, SLOTS, IdMaker, IdRange, Prefix, decode, encode, join, walk

NUMBERS = st.integers(0, (1 << 63) - 1)
TIMES_US = st.integers(EPOCH_MS * 1000, EPOCH_MS * 1000 + (1 << 50))
SLOT = st.integers(0, SLOTS - 1)


@given(SLOT, st.lists(st.tuples(st.booleans(), st.integers(1, 9000), st.integers(0, 3_000_000)), max_size=12), TIMES_US)
def test_ids_of_one_maker_grow_and_never_repeat(slot: int, asked: list[tuple[bool, int, int]], now_us: int) -> None:
    maker, last = IdMaker(slot), 0
    for alone, count, later_us in asked:
        now_us += later_us
        taken = IdRange(maker.one(now_us), 1) if alone else maker.take(count, now_us)

        assert last < taken.first <= taken.last
        assert taken.last < 1 << 63
        last = taken.last


@given(SLOT, SLOT, st.integers(1, 9000), TIMES_US)
def test_a_maker_that_starts_after_another_goes_on_above_it(one: int, other: int, count: int, now_us: int) -> None:
    high = IdMaker(one).take(count, now_us).last

    # The clock of the next one may stand before what the first had already used up.
    assert IdMaker(other, high).one(now_us) > high
    assert IdMaker(other, high).take(count, now_us).first > high


@given(SLOT, SLOT, TIMES_US, st.integers(1, 5000))
def test_makers_with_different_slots_never_meet(one: int, other: int, now_us: int, count: int) -> None:
    mine, theirs = IdMaker(one).take(count, now_us), IdMaker(other).take(count, now_us)

    assert (one == other) == bool({mine.first, mine.last} & {theirs.first, theirs.last})


@given(SLOT, TIMES_US, st.integers(1, 20_000), st.data())
def test_a_place_and_its_id_are_two_ways_to_say_the_same(
    slot: int, now_us: int, length: int, data: st.DataObject
) -> None:
    run = IdMaker(slot).take(length, now_us)
    place = data.draw(st.integers(0, length - 1))

    assert run.place_of(run.at(place)) == place
    assert place == 0 or run.at(place - 1) < run.at(place)
    assert run.place_of(run.at(length)) is None
    assert run.place_of(run.first - 1) is None
    assert run.last == run.at(length - 1)


@given(SLOT, TIMES_US, st.integers(0, 9000), st.integers(0, 9000))
def test_a_span_is_the_ids_of_its_places(slot: int, now_us: int, start: int, count: int) -> None:
    run = IdMaker(slot).take(20_000, now_us)

    assert run.span(start, count) == [run.at(place) for place in range(start, start + count)]


@given(SLOT, SLOT, TIMES_US, st.integers(1, 9000), st.integers(0, 9000))
def test_an_id_of_another_slot_is_in_no_run(slot: int, other: int, now_us: int, length: int, place: int) -> None:
    run = IdMaker(slot).take(length, now_us)
    stranger = IdRange(join(run.first >> 22, other, run.first & 4095), length).at(place % length)

    assert (run.place_of(stranger) is None) == (slot != other)


def test_runs_are_walked_in_their_order() -> None:
    maker = IdMaker(3)
    runs = [maker.take(3, EPOCH_MS * 1000 + 5_000), maker.take(2, EPOCH_MS * 1000 + 9_000)]

    assert list(walk(runs)) == [run.at(place) for run in runs for place in range(run.length)]
    assert sorted(walk(runs)) == list(walk(runs))


@given(NUMBERS, st.sampled_from(get_args(Prefix)))
def test_what_is_encoded_is_decoded(number: int, prefix: Prefix) -> None:
    text = encode(number, prefix)

    assert decode(text, prefix) == number
    assert text.startswith(f"{prefix}_")
    assert len(text) == len(prefix) + 14


@given(NUMBERS, NUMBERS)
def test_texts_sort_as_numbers_do(one: int, other: int) -> None:
    assert (encode(one) < encode(other)) == (one < other)


@given(st.text(max_size=20))
def test_what_is_no_id_is_refused_with_an_example(text: str) -> None:
    if text.startswith("task_") and len(text) == 18:
        return
    with pytest.raises(ValueError, match="is not a task id"):
        decode(text)


@pytest.mark.parametrize(
    "text",
    [
        "task_zzzzzzzzzzzzz",
        "task_01hx",
        "batch_0000000000001",
        "task_000000000000i",
        "task_000000000000 ",
        "TASK_0000000000001",
    ],
)
def test_what_looks_almost_like_an_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a task id"):
        decode(text)


def test_no_id_is_zero_even_when_the_clock_stands_before_the_first_millisecond() -> None:
    assert IdMaker(0).one(0) > 0


@pytest.mark.parametrize("slot", [-1, SLOTS])
def test_a_slot_outside_its_range_is_refused(slot: int) -> None:
    with pytest.raises(ValueError, match="slot"):
        IdMaker(slot)
