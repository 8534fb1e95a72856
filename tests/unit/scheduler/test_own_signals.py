"""Signals that a process handles in a way of its own, and the processes that it forks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wsaios.scheduler.own_signals import give_back, keep

NUMBER = signal.SIGUSR1


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (NUMBER, signal.SIGINT)}
    yield
    for number, handler in before.items():
        give_back(number)
        signal.signal(number, handler)


def handle(*_: Any) -> None:
    """A handler."""


def other(*_: Any) -> None:
    """Another one."""


def holds_in_a_fork(claim: Callable[[], bool]) -> bool:
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    try:
        os._exit(0 if claim() else 1)
    finally:
        os._exit(2)


def test_a_fork_does_what_python_does_by_itself() -> None:
    keep_as(NUMBER)
    keep_as(signal.SIGINT)
    assert holds_in_a_fork(
        lambda: (
            (signal.getsignal(NUMBER), signal.getsignal(signal.SIGINT)) == (signal.SIG_DFL, signal.default_int_handler)
        )
    )
    assert (signal.getsignal(NUMBER), signal.getsignal(signal.SIGINT)) == (handle, handle)


def keep_as(number: int) -> None:
    before = signal.signal(number, handle)
    keep(number, before)


def test_a_fork_ignores_what_was_ignored_before() -> None:
    signal.signal(NUMBER, signal.SIG_IGN)
    keep_as(NUMBER)
    assert holds_in_a_fork(lambda: signal.getsignal(NUMBER) == signal.SIG_IGN)


def test_a_handler_that_is_set_later_is_left_alone() -> None:
    keep_as(NUMBER)
    signal.signal(NUMBER, other)
    assert holds_in_a_fork(lambda: signal.getsignal(NUMBER) is other)


def test_a_handler_that_was_given_back_is_inherited_again() -> None:
    keep_as(NUMBER)
    give_back(NUMBER)
    assert holds_in_a_fork(lambda: signal.getsignal(NUMBER) is handle)


def test_a_fork_wakes_no_loop_of_its_parent() -> None:
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    before = signal.set_wakeup_fd(writes)
    try:
        keep_as(NUMBER)
        assert holds_in_a_fork(lambda: signal.set_wakeup_fd(-1) == -1)
        give_back(NUMBER)
        assert holds_in_a_fork(lambda: signal.set_wakeup_fd(-1) == writes)
    finally:
        signal.set_wakeup_fd(before)
        os.close(reads)
        os.close(writes)


def test_no_signal_stays_blocked() -> None:
    def blocked() -> set[int]:
        return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    before = blocked()
    keep_as(NUMBER)
    assert holds_in_a_fork(lambda: blocked() == before)
    assert blocked() == before


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_that_comes_while_a_process_is_forked_ends_it(name: str) -> None:
    code = (
        "import os, signal\n"
        f"number = signal.{name}\n"
        "from wsaios.scheduler.own_signals import keep\n"
        # The hooks of a child run in the order in which they were set: this one before those of the module.
        "os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), number))\n"
        "before = signal.signal(number, lambda *_: None)\n"
        "keep(number, before)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    os._exit(0)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"{-signal.Signals[name]}\n"
