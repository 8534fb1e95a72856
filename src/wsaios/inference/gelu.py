"""The activation function GELU for NumPy, which has no error function."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# erf(z) = 1 − (a1·t + … + a5·t⁵)·exp(−z²) + ε with t = 1 / (1 + p·z), z ≥ 0, |ε| ≤ 1.5e-7.
# Source: Abramowitz & Stegun, Handbook of Mathematical Functions, formula 7.1.26.
# Here the signs of a1 to a5 are turned, so that the sum is erf(z) − 1.
_P: Final = np.float32(0.3275911 / 2**0.5)  # z = |x| / √2
_A1, _A2, _A3, _A4, _A5 = (np.float32(-a) for a in (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429))


def twice_gelu(x: NDArray[np.float32], work: NDArray[np.float32]) -> None:
    """Replace x by x · (1 + erf(x / √2)) in place; halving it is left to the weights of the layer behind.

    x: any shape; work: (3, *x.shape), overwritten. Absolute error against the exact value ≤ 1e-6 · max(1, |x|).
    Source: Hendrycks & Gimpel, "Gaussian Error Linear Units", arXiv 1606.08415, section 2.
    """
    size, t, tail = work
    np.abs(x, out=size)
    np.multiply(size, _P, out=t)
    t += 1
    np.reciprocal(t, out=t)
    np.multiply(t, _A5, out=tail)
    for coefficient in (_A4, _A3, _A2, _A1):
        tail += coefficient
        tail *= t
    np.multiply(x, x, out=t)
    t *= np.float32(-0.5)
    np.exp(t, out=t)
    tail *= t
    tail += 1  # erf(|x| / √2), and |x|·erf(|x| / √2) = x·erf(x / √2)
    tail *= size
    x += tail
