"""Copies a ledger in small pages, and is killed at a place: ``python -m … FROM TO PLACE``."""

import os
import signal
import sys

from wsaios.ledger.postgres import side as postgres
from wsaios.ledger.sqlite import side as sqlite
from wsaios.sdk.copying import copy


class Deaf:
    """Hears nothing."""

    def phase(self, phase: str, total: int) -> None:
        """Nothing."""

    def advance(self, done: int) -> None:
        """Nothing."""


def in_small_pages() -> None:
    """Let a copy take many steps."""
    vars(sqlite)["PAGE_ROWS"] = vars(postgres)["PAGE_ROWS"] = 7


def main() -> None:
    """Copy until the third time the place is reached, or the first where it is reached once."""
    source, target, place = sys.argv[1:]
    hits = 0

    def failpoint(reached: str) -> None:
        nonlocal hits
        hits += reached == place
        if hits == (3 if place in REPEATED else 1):
            os.kill(os.getpid(), signal.SIGKILL)

    in_small_pages()
    copy(source, target, Deaf(), failpoint)


ONCE = ("copy.owned", "copy.entered", "copy.marked")
REPEATED = ("copy.read", "copy.written", "copy.added")
AT_THE_END = ("copy.moved", "copy.compared", "copy.finished")

if __name__ == "__main__":
    main()
