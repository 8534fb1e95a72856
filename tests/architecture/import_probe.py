"""Imports modules one by one in a process of its own and writes down what each did beside defining things.

Usage: import_probe.py SOURCE MODULE ...; prints a JSON list of [module, what it did].
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

FOREIGN = ("KMP_DUPLICATE_LIB_OK",)  # threadpoolctl sets it for the OpenMP of other libraries
CODE = (".py", ".pyc", ".so", ".pth")
REFUSED = (
    "socket.",
    "sqlite3.",
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.kill",
    "os.mkdir",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.spawn",
    "os.system",
    "shutil.",
    "tempfile.",
    "urllib.",
)


class Probe:
    """Refuses and records every effect while a module is being imported."""

    def __init__(self, source: str) -> None:
        self.source = os.path.realpath(source)
        self.module = ""
        self.findings: list[tuple[str, str]] = []

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.module:
            return
        if event == "open":
            self.opened(*arguments)
        elif event.startswith(REFUSED):
            self.refuse(f"{event} {arguments!r}")

    def opened(self, path: object, mode: object = None, flags: object = 0, *_rest: object) -> None:
        writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
        if isinstance(flags, int) and flags & writes:
            self.refuse(f"opened {path!r} for writing (mode {mode!r})")
        if isinstance(path, str) and not path.endswith(CODE) and not self.is_installed(path):
            self.refuse(f"read {path!r}")

    def is_installed(self, path: str) -> bool:
        real = os.path.realpath(path)
        ours = real.startswith(self.source)
        return not ours and real.startswith((os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix)))

    def refuse(self, what: str) -> None:
        self.findings.append((self.module, what))
        raise PermissionError(what)

    def try_module(self, name: str) -> None:
        # A fresh package each time, so that a ring that only closes from this side shows as well.
        for loaded in [one for one in sys.modules if one.partition(".")[0] == "wsaios"]:
            del sys.modules[loaded]
        before = registrations()
        self.module = name
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001 -- whatever the import raises is the finding
            self.findings.append((name, f"cannot be imported by itself: {type(error).__name__}: {error}"))
        finally:
            self.module = ""
        self.findings += [(name, f"changed {what}") for what in sorted(registrations() ^ before)]


def registrations() -> set[str]:
    """Return what a process has registered, one line each."""
    handlers = {f"the signal handler {one!r} {signal.getsignal(one)!r}" for one in signal.valid_signals()}
    threads = {f"the threads: {one.name}" for one in threading.enumerate()}
    loggers = {f"the root logger: {one!r}" for one in logging.getLogger().handlers}
    variables = {f"the environment: {name}={value}" for name, value in os.environ.items() if name not in FOREIGN}
    return handlers | threads | loggers | variables


def main(source: str, names: list[str]) -> None:
    probe = Probe(source)
    sys.path.insert(0, source)
    sys.dont_write_bytecode = True
    # SQLite opens its files below Python, where no audit event is raised; apsw tells of each connection itself.
    import apsw  # noqa: PLC0415 -- its own import must not be charged to the first module that needs it

    apsw.connection_hooks.append(lambda connection: probe.refuse(f"connected to {connection.filename!r}"))
    sys.addaudithook(probe.audit)
    for name in names:
        probe.try_module(name)
    json.dump(probe.findings, sys.stdout)


if __name__ == "__main__":
    main(str(Path(sys.argv[1])), sys.argv[2:])
