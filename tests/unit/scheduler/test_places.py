from hypothesis import given
from hypothesis import strategies as st

from wsaios.kernel.ids import IdRange, join
from wsaios.scheduler.places import Places

ranges = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4095), st.integers(1, 9000)), min_size=1, max_size=6).map(
    lambda parts: [
        # A gap of ten milliseconds between two, more than any of these lengths takes.
        (join(1000 + 10 * place, slot, sequence), length)
        for place, (slot, sequence, length) in enumerate(parts)
    ]
)


@given(ranges)
def test_every_id_has_its_place_in_the_order_of_the_ranges(parts: list[tuple[int, int]]) -> None:
    places = Places(parts)
    assert places.left == sum(length for _, length in parts)
    before = 0
    for first, length in parts:
        part = IdRange(first, length)
        assert places.place_of(first) == before
        assert places.place_of(part.last) == before + length - 1
        assert places.place_of(part.at(length // 2)) == before + length // 2
        before += length


@given(ranges)
def test_ids_outside_have_none(parts: list[tuple[int, int]]) -> None:
    places = Places(parts)
    known = {number for first, length in parts for number in (first, IdRange(first, length).last)}
    for first, length in parts:
        for number in (first - 1, IdRange(first, length + 1).last, 0, join(5000, 9, 0)):
            inside = any(IdRange(*part).place_of(number) is not None for part in parts)
            assert (places.place_of(number) is not None) == inside or number in known


def test_each_is_marked_once() -> None:
    places = Places([(join(1, 1, 0), 3), (join(9, 1, 0), 1)])
    order = [join(1, 1, 2), join(9, 1, 0), join(1, 1, 0), join(1, 1, 2), join(2, 1, 0), join(1, 1, 1)]
    assert [places.mark(number) for number in order] == [True, True, True, False, False, True]
    assert places.left == 0


@given(ranges, st.data())
def test_the_first_that_is_left_of_each_range_is_found(parts: list[tuple[int, int]], data: st.DataObject) -> None:
    places, expected = Places(parts), []
    for first, length in parts:
        part, marked = IdRange(first, length), data.draw(st.integers(0, length))
        for place in range(marked):
            places.mark(part.at(place))
        if marked < length:
            expected.append(part.at(marked))
        if marked + 1 < length:
            places.mark(part.last)
    assert sorted(places.first_left()) == sorted(expected)


def test_nothing_has_no_places() -> None:
    assert Places([]).left == 0
    assert not Places([(join(1, 1, 0), 0)]).mark(join(1, 1, 0))
