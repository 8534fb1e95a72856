"""Plans: what makes two of them the same batch, and what they say of their rows."""

from pathlib import Path

import pytest

from tests.unit.sdk.batches import Bench
from wsaios.kernel.errors import InputError, InvalidInput
from wsaios.sdk.batch_plan import prepare


def test_rows_have_arguments_and_ids_in_input_order(bench: Bench) -> None:
    plan = bench.plan()
    assert list(plan.arguments()) == [{"text": "a"}, {"text": "b"}, {"text": "c"}]
    assert list(plan.row_ids()) == ["n-a", "n-b", "n-c"]
    assert list(bench.plan(id_column=None).row_ids()) == [1, 2, 3]
    assert list(bench.plan(limit=2).row_ids()) == ["n-a", "n-b"]


def test_where_the_input_lies_and_results_go_makes_no_difference_to_the_key(bench: Bench, tmp_path: Path) -> None:
    first = bench.plan().key
    bench.source = bench.source.rename(tmp_path / "other.csv")
    bench.out = tmp_path / "other.jsonl"
    assert bench.plan(fresh=True).key == first


def test_whatever_changes_what_is_computed_changes_the_key(bench: Bench) -> None:
    plans = [
        bench.plan(),
        bench.plan("picky"),
        bench.plan(mapping=("text=name",)),
        bench.plan(id_column=None),
        bench.plan(limit=2),
        bench.plan(max_attempts=2),
        bench.plan(lane="default"),
        bench.plan(batch_size=4),
    ]
    bench.texts("a", "b", "d")
    plans.append(bench.plan())
    assert len({plan.key for plan in plans}) == len(plans)


def test_a_file_that_changes_after_the_check_is_noticed(bench: Bench) -> None:
    plan = bench.plan()
    bench.texts("a", "b", "d")
    for rows in (plan.arguments(), plan.row_ids()):
        with pytest.raises(InputError, match="changed while the batch ran"):
            list(rows)


def test_a_change_behind_the_limit_is_noticed_too(bench: Bench) -> None:
    plan = bench.plan(limit=1)
    bench.texts("a", "b", "d")
    with pytest.raises(InputError, match="changed while the batch ran"):
        list(plan.row_ids())


def test_the_check_tells_how_far_it_is(bench: Bench) -> None:
    sizes, seen = list[int](), list[int]()
    prepare(bench.request(), bench.folder, sizes.append, seen.append)
    assert sizes == [bench.source.stat().st_size] == seen[-1:]


def test_the_input_is_never_written_over_by_results_or_errors(bench: Bench) -> None:
    bench.out = bench.source
    with pytest.raises(InvalidInput, match="would write over the input"):
        bench.plan()
    bench.source = bench.source.rename(bench.folder / "r.errors.csv")
    bench.out = bench.folder / "r.csv"
    with pytest.raises(InvalidInput, match="would write over the input"):
        bench.plan()
