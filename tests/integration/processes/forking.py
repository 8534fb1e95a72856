"""Handlers that fork, and others that leave something behind in their worker."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from wsaios import Context, GiveUp, RetryAfter

ODD = os.fsdecode(b"caf\xe9")
LONG_S = 60.0


def square(number: int) -> int:
    return number * number


def pool(n: int) -> list[int]:
    with multiprocessing.get_context("fork").Pool(2) as made:
        return made.map(square, range(n))


def end(number: int) -> int | None:
    """The exit status of a process that got this signal as soon as it was there."""
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(LONG_S,))
    process.start()
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join()
    return process.exitcode


def bear(mark: str, aside: bool) -> None:
    """Fork a process that sleeps, `aside` in a thread that is over at once, say who it is, and sleep as well."""

    def fork() -> None:
        if child := os.fork():
            Path(f"{mark}.tmp").write_text(f"{os.getpid()} {child}", "ascii")
            Path(f"{mark}.tmp").rename(mark)
            return
        time.sleep(LONG_S)
        os._exit(0)

    if aside:
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
    else:
        fork()
    time.sleep(LONG_S)


def fail(how: str) -> Any:
    """Fail with words that are no text."""
    if how == "give up":
        raise GiveUp(ODD)
    if how == "return":
        return ValueError(ODD)
    try:
        return os.environ[ODD]
    except KeyError as error:
        raise ValueError(f"no file {ODD}") from error


def no_time() -> NoReturn:
    """Ask for another attempt after a time that is none."""
    answer = RetryAfter(1)
    answer.seconds = 2**70
    raise answer


def alarm() -> int:
    """Have something raise in the worker when this call is over, and a thread keep it."""

    def ring(*_: object) -> None:
        raise TimeoutError("an alarm of a call that is over")

    threading.Thread(target=time.sleep, args=(LONG_S,)).start()
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    return os.getpid()


class Mute:
    def __repr__(self) -> str:
        raise ValueError("no repr")


def log(context: Context) -> str:
    """Log what no frame can carry."""
    endless: list[Any] = []
    endless.append(endless)
    context.logger.info("told", many=2**70, inside=[{"deep": 2**70}], endless=endless, mute=Mute(), odd=ODD)
    context.logger.info("keys", **{ODD: {ODD: 1}})
    logging.getLogger(ODD).warning("named")
    context.used(**{ODD: 1})
    return "logged"


def close(what: str) -> int:
    """Close what this process prints to."""
    if what == "streams":
        sys.stdout.close()
        sys.stderr.close()
    elif what == "buffer":
        sys.stdout.detach()  # type: ignore[union-attr]  # a real stream has it
    else:
        os.close(1)
        os.close(2)
    return os.getpid()


def speak(text: str) -> int:
    print(text)
    print(text, file=sys.stderr)
    return os.getpid()
