"""Looks at a ledger and the machine under it, without owning it."""

import os
import platform
import shutil
import tempfile
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, Final, cast

import apsw
import msgspec

from wsaios import __version__
from wsaios.bootstrap import Settings, ledger_of, ledger_url
from wsaios.kernel.errors import InvalidInput, LedgerUnavailable, WsaiosError
from wsaios.kernel.views import Overview, amount
from wsaios.ledger.location import locate
from wsaios.ledger.ownership import Holder
from wsaios.ledger.sqlite import SqliteLedger
from wsaios.sdk.client import Client
from wsaios.sdk.holder import holder_of, remote_holder

SLOW_SYNC_MS: Final = 50.0
LITTLE_SPACE_BYTES: Final = 256 << 20
SAFE_SQLITE: Final = (3, 51, 3)
_SYNCS: Final = 15
_PACKAGES: Final = ("apsw", "msgspec", "uvloop", "numpy", "tokenizers")


class Trouble(msgspec.Struct, frozen=True):
    """Something that is wrong, and what to do about it."""

    what: str
    remedy: str


class Health(msgspec.Struct, frozen=True):
    """What `examine` found; `owner` is empty when no scheduler lives, figures are None where nothing was measured."""

    versions: dict[str, str]
    ledger: str
    owner: str
    live: dict[str, int]
    ended: dict[str, int]
    size_bytes: int | None
    fdatasync_ms: float | None
    wrong: list[Trouble]


def contradictions(ledger: str | None) -> list[str]:
    """What is wrong inside a ledger; empty when nothing is. Reads everything, beside a live owner too.

    Raises:
        LedgerBroken, LedgerTooNew, LedgerUnavailable: it cannot be read at all.
    """
    url = ledger_url(ledger)
    if locate(url).remote:
        found: list[str] = cast("Any", ledger_of(url, Settings())).check()
        return found
    _file_of(url)
    return SqliteLedger(url).check()


def examine(ledger: str | None) -> Health:
    """Look at everything that can be looked at.

    Raises:
        InvalidInput: the address names no ledger.
    """
    url = ledger_url(ledger)
    place = locate(url)
    if place.remote:
        return _examine_remote(url, place.name)
    if place.path is None:
        raise InvalidInput("ledger", "one in memory is inside its process; name a file")
    wrong: list[Trouble] = []
    holder = holder_of(place.lock)
    overview = _overview(url, place.path, wrong)
    sync_ms = _fdatasync_ms(place.path.parent, wrong)
    _judge_machine(place.path.parent, wrong)
    if overview is not None:
        _judge_work(overview, holder, wrong)
    return Health(
        versions=_versions(),
        ledger=str(place.path) if place.path.exists() else f"{place.path} (not there yet)",
        owner="" if holder is None else holder.described(),
        live={} if overview is None else overview.live,
        ended={} if overview is None else overview.ended,
        size_bytes=None if overview is None else overview.size_bytes,
        fdatasync_ms=sync_ms,
        wrong=wrong,
    )


def _examine_remote(url: str, name: str) -> Health:
    """The same of a ledger on a server, whose disk nobody sees from here."""
    wrong: list[Trouble] = []
    overview, holder = _asked(url, wrong), None
    if overview is not None:
        holder = remote_holder(url)
        _judge_work(overview, holder, wrong)
    return Health(
        versions=_versions(),
        ledger=name,
        owner="" if holder is None else holder.described(),
        live={} if overview is None else overview.live,
        ended={} if overview is None else overview.ended,
        size_bytes=None if overview is None else overview.size_bytes,
        fdatasync_ms=None,
        wrong=wrong,
    )


def _file_of(url: str) -> Path:
    place = locate(url)
    if place.path is None or not place.path.exists():
        raise LedgerUnavailable.missing(place.name)
    return place.path


def _overview(url: str, path: Path, wrong: list[Trouble]) -> Overview | None:
    return _asked(url, wrong) if path.exists() else None


def _asked(url: str, wrong: list[Trouble]) -> Overview | None:
    try:
        with Client(url) as client:
            return client.overview()
    except WsaiosError as error:
        what, _, remedy = str(error).rpartition("; ")
        wrong.append(Trouble(what or remedy, remedy if what else "look at the file and its folder"))
        return None


def _judge_work(overview: Overview, holder: Holder | None, wrong: list[Trouble]) -> None:
    waiting = sum(overview.live.values())
    if waiting and holder is None:
        what = f"{amount(waiting, 'task')} {'has' if waiting == 1 else 'have'} not ended and no scheduler runs"
        wrong.append(Trouble(what, "start the program that has their handlers, or the `batch run` they belong to"))
    for each in overview.suspects:
        what = f"{each.id} ({each.handler}) was in flight at several deaths of its owner"
        wrong.append(Trouble(what, f"it runs alone from now on; see `wsaios task history {each.id}`, or cancel it"))


def _judge_machine(folder: Path, wrong: list[Trouble]) -> None:
    sqlite = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if sqlite < SAFE_SQLITE:
        what = f"SQLite {apsw.sqlite_lib_version()} can damage a ledger when its log is reset"
        wrong.append(Trouble(what, "install apsw 3.51.3 or newer"))
    with suppress(OSError):
        free = shutil.disk_usage(folder).free
        if free < LITTLE_SPACE_BYTES:
            wrong.append(
                Trouble(f"{free >> 20} MiB are free in {folder}", "make room: a full disk stops the scheduler")
            )


def _fdatasync_ms(folder: Path, wrong: list[Trouble]) -> float | None:
    """The median time until a small write is durable."""
    times_ms = []
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for _ in range(_SYNCS):
                file.write(b"\0" * 4096)
                file.flush()
                began = time.perf_counter()
                os.fdatasync(file.fileno())
                times_ms.append((time.perf_counter() - began) * 1000)
    except OSError as error:
        reason = f"nothing can be written in {folder}: {error.strerror}"
        wrong.append(Trouble(reason, "check that the folder exists and its permissions"))
        return None
    middle = median(times_ms)
    if middle > SLOW_SYNC_MS:
        what = f"a durable write takes {middle:.0f} ms in {folder}"
        wrong.append(Trouble(what, "put the ledger on a faster local disk: every commit waits that long"))
    return middle


def _versions() -> dict[str, str]:
    found: dict[str, Any] = {
        "wsaios": _version("wsaios"),
        "Python": platform.python_version(),
        "system": platform.platform(terse=True),
        "SQLite": apsw.sqlite_lib_version(),
    }
    found |= {name: _version(name) for name in _PACKAGES}
    return {name: text for name, text in found.items() if text}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return __version__ if package == "wsaios" else ""
