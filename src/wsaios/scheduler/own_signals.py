"""Signals that are for this process alone: one that is forked from it is ended by them like any other."""

import os
import signal
import threading
from functools import cache
from typing import Any, Final

_OWN: Final[dict[int, tuple[Any, bool]]] = {}
_HELD: Final = threading.local()


def keep(number: int, before: Any) -> None:
    """The handler of this signal, as it is set now, is not for processes that are forked from this one.

    They ignore what was ignored `before`, and do with the rest what Python does by itself. A handler that is set later
    is left alone. One that comes from outside while a process is being forked waits until it is ready for it.
    """
    _watch()
    _OWN[number] = (signal.getsignal(number), before == signal.SIG_IGN)


def give_back(number: int) -> None:
    """This process handles this signal in no way of its own any more."""
    _OWN.pop(number, None)


@cache
def _watch() -> None:
    # Hooks of forks cannot be taken back, so there is one for all, at the first use.
    os.register_at_fork(before=_hold_back, after_in_parent=_let_in, after_in_child=_forked)


def _hold_back() -> None:
    """Or one that comes before `_forked` would be taken for the parent's, and lost."""
    if _OWN:
        # Two calls: the second one lets handlers run, which may raise.
        _HELD.mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        signal.pthread_sigmask(signal.SIG_BLOCK, list(_OWN))


def _let_in() -> None:
    mask = _HELD.__dict__.pop("mask", None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _forked() -> None:
    interrupts = False
    for number, (handler, ignored) in _OWN.items():
        if signal.getsignal(number) is handler:
            signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
            interrupts = interrupts or (number == signal.SIGINT and not ignored)
    if _OWN:
        # It leads to the loop of the parent, which would believe that the signal was its own.
        signal.set_wakeup_fd(-1)
    _OWN.clear()
    _let_in()
    # Not before: an exception that is raised in here would be lost.
    if interrupts:
        signal.signal(signal.SIGINT, signal.default_int_handler)
