"""Whether a quantity that was watched over time stays as it is, or goes on growing."""

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median, pvariance
from typing import Final, Literal

import msgspec

BLOCKS: Final = 5
CERTAIN: Final = 3.0
"""How many standard errors a change must exceed to be one: 3 lets noise pass for growth in about 1 of 100 comparisons.

The errors come from five blocks a third, so this is a t of 8 degrees of freedom, and one-sided.
"""
HOUR_S: Final = 3_600.0

Word = Literal["flat", "grows", "told"]


class Quantity(msgspec.Struct, frozen=True):
    """What is watched. A change for the worse of at most `share` of it, or of `least` in its unit, is none.

    `falls`: worse is less. `judged` False: told, without a verdict.
    """

    key: str
    says: str
    unit: str
    share: float = 0.0
    least: float = 0.0
    falls: bool = False
    judged: bool = True


class Trend(msgspec.Struct, frozen=True):
    """The last third of a run beside its middle third.

    `change` is for the worse when it is positive; `allowed` is how much of that is taken for none, `noise` the standard
    error of the change.
    """

    key: str
    says: str
    unit: str
    middle: float
    last: float
    change: float
    allowed: float
    noise: float
    per_hour: float
    verdict: Word


def trend(quantity: Quantity, times_s: Sequence[float], values: Sequence[float]) -> Trend:
    """Compare the last third of a run with its middle third; the first third may warm up.

    It grows when the change is both larger than what is allowed and too certain to be noise. Samples that follow each
    other are alike, so that their scatter says too little of the noise: each third is cut into five blocks, and the
    scatter of the medians of the blocks counts.
    """
    middle, last = _third(times_s, values, 1), _third(times_s, values, 2)
    before, after = median(middle), median(last)
    change = fmean(_blocks(last)) - fmean(_blocks(middle))
    apart_s = (times_s[-1] - times_s[0]) / 3
    worse = -change if quantity.falls else change
    allowed = max(quantity.share * abs(before), quantity.least)
    noise = math.sqrt(_error(_blocks(middle)) + _error(_blocks(last)))
    grows = worse > allowed and worse > CERTAIN * noise
    word: Word = ("grows" if grows else "flat") if quantity.judged else "told"
    per_hour = change * HOUR_S / apart_s if apart_s else 0.0
    return Trend(quantity.key, quantity.says, quantity.unit, before, after, worse, allowed, noise, per_hour, word)


def _third(times_s: Sequence[float], values: Sequence[float], number: int) -> list[float]:
    begin, length = times_s[0], (times_s[-1] - times_s[0]) / 3
    found = [
        value
        for at, value in zip(times_s, values, strict=True)
        if begin + number * length <= at and (number == 2 or at < begin + (number + 1) * length)
    ]
    return found or [values[-1]]


def _blocks(values: Sequence[float]) -> list[float]:
    count = min(BLOCKS, len(values))
    ends = [len(values) * number // count for number in range(count + 1)]
    return [median(values[begin:end]) for begin, end in pairwise(ends)]


def _error(blocks: Sequence[float]) -> float:
    """The variance of their mean."""
    return pvariance(blocks) / (len(blocks) - 1) if len(blocks) > 1 else 0.0
