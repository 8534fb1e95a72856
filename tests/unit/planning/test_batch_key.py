import hashlib
from typing import Any

import pytest

from wsaios.planning.batch_key import batch_key
from wsaios.planning.mapping import Mapping

SAME: dict[str, Any] = {
    "content_digest": "ab",
    "mapping": Mapping.parse(["a=x", "b=y"]),
    "id_column": "id",
    "handler": "module:function",
    "options": {"max_attempts": 3, "lane": "thread"},
    "limit": 10,
}


def test_the_key_is_a_stable_digest() -> None:
    canonical = (
        '{"content":"ab","handler":"module:function","id":"id","limit":10,"mapping":{"a":"x","b":"y"},'
        '"options":{"lane":"thread","max_attempts":3},"version":1}'
    )

    assert batch_key(**SAME) == hashlib.sha256(canonical.encode()).hexdigest()


@pytest.mark.parametrize(
    "changed",
    [
        {"mapping": Mapping.parse(["b=y", "a=x"])},
        {"options": {"lane": "thread", "max_attempts": 3}},
        {"options": {"lane": "thread", "max_attempts": 3, "timeout_s": None}},
    ],
)
def test_order_and_absent_options_make_no_difference(changed: dict[str, Any]) -> None:
    assert batch_key(**{**SAME, **changed}) == batch_key(**SAME)


@pytest.mark.parametrize(
    "changed",
    [
        {"content_digest": "ac"},
        {"mapping": Mapping.parse(["a=y", "b=x"])},
        {"mapping": Mapping()},
        {"id_column": None},
        {"handler": "module:other"},
        {"options": {"max_attempts": 4, "lane": "thread"}},
        {"limit": None},
    ],
)
def test_whatever_changes_the_work_changes_the_key(changed: dict[str, Any]) -> None:
    assert batch_key(**{**SAME, **changed}) != batch_key(**SAME)


@pytest.mark.parametrize("option", [object(), float("nan")])
def test_options_that_are_not_json_are_refused(option: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        batch_key(**{**SAME, "options": {"x": option}})
