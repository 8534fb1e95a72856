"""How the simulated handlers behave."""

from random import Random

import msgspec

from wsaios.kernel.engine import Attempt, Work
from wsaios.simulation.script import Answer


class Handlers:
    """Take some time, save a checkpoint now and then, may be stubborn; a result says which attempt it is from."""

    def __init__(self, dice: Random, longest_us: int) -> None:
        self._dice = dice
        self._longest_us = longest_us

    def __call__(self, work: Work, attempt: Attempt) -> Answer:
        dice = self._dice
        said = msgspec.json.encode((attempt.task, attempt.fence))
        return Answer(
            takes_us=dice.randint(0, self._longest_us),
            result=said,
            stubborn=dice.random() < 0.1,
            fraction=dice.random() if dice.random() < 0.1 else None,
            saved=said if dice.random() < 0.1 else None,
        )
