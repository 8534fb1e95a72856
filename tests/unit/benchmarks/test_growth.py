import pytest

from benchmarks import growth

FLAT = {"per_s": 1_000.0, "cpu_us": 50.0, "p50_ms": 1.0, "peak_mib": 40.0, "restart_s": 0.1}


def points(**worse: float) -> list[growth.Point]:
    """Three runs at each; with `worse` the last size of what waits is so many times what the others are."""
    found = growth.plan((10, 100, 1_000), (1, 10), 5, 5)
    for point in found:
        point.runs = {key: [value, value * 1.1, value * 0.9] for key, value in FLAT.items()}
    last = max((point for point in found if point.axis == "waiting"), key=lambda point: point.n)
    for key, times in worse.items():
        last.runs[key] = [value * times for value in last.runs[key]]
    return found


def test_every_size_is_measured_once_and_all_curves_begin_at_the_same_point() -> None:
    found = growth.plan((10, 100), (1, 10, 100), 5, 5)
    assert [(point.axis, point.n) for point in found] == [
        ("", 0),
        ("waiting", 100),
        *((axis, n) for axis in ("lanes", "tenants", "handlers") for n in (10, 100)),
    ]
    assert [found[0].size[axis] for axis in growth.AXES] == [10, 1, 1, 1]
    assert [found[-1].size[axis] for axis in growth.AXES] == [10, 1, 1, 100]


def test_what_stays_the_same_is_flat() -> None:
    curves = list(growth.judge(points()))
    assert len(curves) == len(growth.AXES) * len(growth.ASPECTS)
    assert all(curve.flat and curve.worst == 1.0 for curve in curves)
    assert list(curves[0].medians) == [10, 100, 1_000]


@pytest.mark.parametrize(
    "key, times, flat",
    [
        ("per_s", 0.85, True),
        ("per_s", 0.7, False),
        ("per_s", 2.0, True),
        ("cpu_us", 1.2, True),
        ("cpu_us", 1.4, False),
        ("p50_ms", 1.15, True),
        ("p50_ms", 2.0, False),
        ("peak_mib", 2.0, True),
        ("peak_mib", 3.0, False),
        ("restart_s", 4.0, True),
        ("restart_s", 8.0, False),
    ],
)
def test_a_curve_that_rises_is_found_and_only_that_one(key: str, times: float, *, flat: bool) -> None:
    curves = list(growth.judge(points(**{key: times})))
    assert {(curve.axis, curve.key) for curve in curves if not curve.flat} == (set() if flat else {("waiting", key)})


@pytest.mark.parametrize("axis, flat", [("waiting", False), ("lanes", True), ("handlers", True)])
def test_what_takes_turns_may_cost_a_little_more(axis: str, *, flat: bool) -> None:
    found = points()
    last = max((point for point in found if point.axis == axis), key=lambda point: point.n)
    last.runs["cpu_us"] = [value * 1.4 for value in last.runs["cpu_us"]]
    assert all(curve.flat for curve in growth.judge(found)) is flat
    last.runs["cpu_us"] = [value * 2 for value in last.runs["cpu_us"]]
    assert [(curve.axis, curve.key) for curve in growth.judge(found) if not curve.flat] == [(axis, "cpu_us")]
