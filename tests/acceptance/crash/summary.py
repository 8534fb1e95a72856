"""What many rounds came to, as a table."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from tests.acceptance.crash.rounds import Round

_FIGURES: Final = (
    ("acknowledged tasks", "acknowledged"),
    ("tasks in the ledgers", "tasks"),
    ("executions", "executions"),
    ("in flight when their owner died", "died with its owner"),
    ("said to be lost (at most once)", "lost"),
    ("batches taken back whole", "taken back"),
    ("replayed", "replayed"),
    ("stale outcomes refused", "stale"),
)


class Summary:
    """Counts over rounds."""

    def __init__(self, rounds: Iterable[Round] = ()) -> None:
        self.rounds = 0
        self.figures: Counter[str] = Counter()
        self.deaths: Counter[str] = Counter()
        self.survived = 0
        self.places: set[str] = set()
        self.problems: Counter[str] = Counter()
        for each in rounds:
            self.add(each)

    def add(self, done: Round) -> None:
        """Count one more."""
        self.rounds += 1
        self.figures += done.verdict.figures
        self.places |= done.places
        self.problems.update(problem.check for problem in done.problems)
        for life in done.lives:
            if life.died and life.death is not None:
                self.deaths[life.death.name] += 1
            elif life.death is not None:
                self.survived += 1

    def lines(self, seconds: float) -> Iterator[str]:
        """The table, `seconds` being how long it took."""
        rows = [("rounds", self.rounds), ("kills", self.deaths.total())]
        rows += [(f"  {name}", count) for name, count in sorted(self.deaths.items())]
        rows += [("ended before they could be killed", self.survived)]
        rows += [(words, self.figures[name]) for words, name in _FIGURES]
        rows += [("lost", self.problems["lost"]), ("twice", self.problems["twice"])]
        others = sorted(set(self.problems) - {"lost", "twice"})
        rows += [(f"wrong: {name}", self.problems[name]) for name in others]
        rows += [("seconds", round(seconds))]
        width = max(len(words) for words, _ in rows)
        return (f"{words:<{width}}  {count:>9,}" for words, count in rows)
