"""What is wrong with a definition, while it is being looked for: with a path instead of a place."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final, NamedTuple

from wsaios.kernel.flaw import FlawKind

Path = tuple[str | int, ...]
MAX_FINDINGS: Final = 1_000
_COMPARED: Final = 1_000
_SUGGESTED: Final = 20


class Span(NamedTuple):
    """Where something stands in a text: from `start` to before `end`, in characters from 0."""

    start: int
    end: int


class Finding(NamedTuple):
    """One thing that is wrong, at a path into the definition.

    `at_key`: its name is wrong, not its value. `part` is the piece of a text that is wrong, `offset` the place in it.
    """

    path: Path
    kind: FlawKind
    message: str
    name: str = ""
    suggestion: str = ""
    at_key: bool = False
    part: str = ""
    offset: int = 0


class Findings(list[Finding]):
    """All that was found; looking for what may have been meant is bounded, however much is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self._suggested = 0

    def meant(self, name: str, known: Iterable[str]) -> str:
        """The known name that comes closest, or nothing."""
        self._suggested += 1
        if self._suggested > _SUGGESTED:
            return ""
        near = (each for each in known if abs(len(each) - len(name)) <= 3)  # noqa: PLR2004  # more is another word
        return next(iter(get_close_matches(name, list(islice(near, _COMPARED)), 1)), "")
