import random

import pytest

from benchmarks.steady import Quantity, trend

MEMORY = Quantity("rss", "memory", "MiB", share=0.03, least=4.0)
RATE = Quantity("rate", "tasks", "/s", share=0.2, falls=True)
SECONDS = [2.0 * number for number in range(900)]


def noise(seed: int, spread: float) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(0.0, spread) for _ in SECONDS]


def slow_noise(seed: int, spread: float) -> list[float]:
    """Each sample is nearly the one before it, as memory and tables are."""
    rng, now, found = random.Random(seed), 0.0, []
    for _ in SECONDS:
        now = 0.95 * now + rng.gauss(0.0, spread)
        found.append(now)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_a_leak_is_found_in_noise(seed: int) -> None:
    """24 MiB an hour over half an hour: 4 MiB more would be let pass, and it is 8 from third to third."""
    values = [100.0 + 48.0 * at / 3600 + each for at, each in zip(SECONDS, noise(seed, 5.0), strict=True)]
    found = trend(MEMORY, SECONDS, values)
    assert found.verdict == "grows"
    assert found.per_hour == pytest.approx(48.0, rel=0.25)


@pytest.mark.parametrize("seed", range(20))
def test_flat_noise_is_flat(seed: int) -> None:
    assert trend(MEMORY, SECONDS, [100.0 + each for each in noise(seed, 20.0)]).verdict == "flat"
    assert trend(MEMORY, SECONDS, [100.0 + each for each in slow_noise(seed, 1.0)]).verdict == "flat"


def test_a_saw_tooth_is_flat_and_one_that_climbs_is_not() -> None:
    teeth = [float(number * 37 % 500) for number in range(len(SECONDS))]
    tuples = Quantity("dead", "dead tuples", "", share=0.1, least=50.0)
    assert trend(tuples, SECONDS, teeth).verdict == "flat"
    climbing = [tooth + 0.5 * number for number, tooth in enumerate(teeth)]
    assert trend(tuples, SECONDS, climbing).verdict == "grows"


def test_growth_within_the_first_third_is_warming_up() -> None:
    values = [min(at, 500.0) for at in SECONDS]
    found = trend(MEMORY, SECONDS, values)
    assert (found.verdict, found.middle, found.last) == ("flat", 500.0, 500.0)


def test_less_than_what_is_allowed_is_flat_however_certain() -> None:
    found = trend(MEMORY, SECONDS, [100.0 + 3.0 * at / 600 for at in SECONDS])
    assert found.change == pytest.approx(3.0, rel=0.05)
    assert found.verdict == "flat"
    assert trend(MEMORY, SECONDS, [100.0 + 5.0 * at / 600 for at in SECONDS]).verdict == "grows"


def test_a_rate_is_worse_when_it_falls() -> None:
    falling = [400.0 - 300.0 * at / SECONDS[-1] for at in SECONDS]
    assert trend(RATE, SECONDS, falling).verdict == "grows"
    assert trend(RATE, SECONDS, falling[::-1]).verdict == "flat"


def test_descriptors_are_counted_one_by_one() -> None:
    descriptors = Quantity("fds", "descriptors", "", least=2.0)
    assert trend(descriptors, SECONDS, [20.0 + number // 60 for number in range(len(SECONDS))]).verdict == "grows"
    assert trend(descriptors, SECONDS, [20.0 + number % 3 for number in range(len(SECONDS))]).verdict == "flat"


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_few_samples_are_compared_as_far_as_they_go(count: int) -> None:
    assert trend(MEMORY, SECONDS[:count], [100.0] * count).verdict == "flat"


def test_what_is_not_judged_is_only_told() -> None:
    others = Quantity("others", "others", "", judged=False)
    assert trend(others, SECONDS, SECONDS).verdict == "told"
