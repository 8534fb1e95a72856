import math

import numpy as np
import pytest
from numpy.typing import NDArray

from wsaios.inference.gelu import twice_gelu


def gelu(values: NDArray[np.float32]) -> NDArray[np.float64]:
    x = values.copy()
    twice_gelu(x, np.empty((3, *x.shape), np.float32))
    return x.astype(np.float64) / 2


def exact(values: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.array([float(x) * 0.5 * (1 + math.erf(float(x) / math.sqrt(2))) for x in values])


def test_the_error_stays_below_one_millionth_of_the_larger_of_one_and_x() -> None:
    x = np.linspace(-12, 12, 200_001, dtype=np.float32)
    error = np.abs(gelu(x) - exact(x)) / np.maximum(1, np.abs(x))
    assert error.max() < 1e-6


@pytest.mark.parametrize("value, expected", [(0.0, 0.0), (1e4, 1e4), (-1e4, 0.0), (1e30, 1e30), (-1e30, 0.0)])
def test_far_from_zero_it_passes_or_blocks_without_overflow(value: float, expected: float) -> None:
    with np.errstate(over="ignore"):
        assert gelu(np.array([value], np.float32))[0] == pytest.approx(expected, rel=1e-6)


def test_a_value_gives_the_same_bits_alone_and_among_others() -> None:
    x = np.random.default_rng(1).standard_normal(1001, dtype=np.float32)
    together = gelu(x)
    assert [gelu(x[at : at + 1])[0] for at in range(0, len(x), 7)] == list(together[::7])
