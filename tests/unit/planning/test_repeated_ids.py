from hypothesis import given
from hypothesis import strategies as st

from wsaios.planning.repeated_ids import IdHashes, Repeat, repeat_among

ids = st.lists(st.one_of(st.integers(-3, 8), st.integers(), st.text(max_size=2)))


def verdict(row_ids: list[str | int]) -> Repeat | None:
    hashes = IdHashes()
    for row_id in row_ids:
        hashes.add(row_id)
    return repeat_among(enumerate(row_ids, 1), hashes.suspects())


@given(ids)
def test_the_verdict_is_that_of_comparing_all_with_all(row_ids: list[str | int]) -> None:
    seconds = [number for number, row_id in enumerate(row_ids) if row_id in row_ids[:number]]
    expected = None
    if seconds:
        row_id = row_ids[seconds[0]]
        expected = Repeat(row_id, row_ids.index(row_id) + 1, seconds[0] + 1)

    assert verdict(row_ids) == expected


def test_ids_that_share_a_hash_are_suspects_but_no_repeat() -> None:
    hashes = IdHashes()
    for row_id in (-1, -2):
        hashes.add(row_id)

    assert hashes.suspects() == {hash(-1)}
    assert verdict([-1, -2]) is None


def test_very_many_repeats_name_a_true_one_in_bounded_memory() -> None:
    hashes = IdHashes()
    row_ids = [*range(300_000), *range(300_000)]
    for row_id in row_ids:
        hashes.add(row_id)
    suspects = hashes.suspects()

    found = repeat_among(enumerate(row_ids), suspects)

    assert 100_000 <= len(suspects) < 102_000
    assert found is not None
    assert found.second - found.first == 300_000
