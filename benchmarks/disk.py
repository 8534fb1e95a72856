"""How long one fdatasync takes in a folder."""

import os
import time
from pathlib import Path

from benchmarks.figures import MS, Disk, percentile

_PAGE = 4096
_PAGES = 256
ROUNDS = 150


def sync_times_ms(folder: Path, rounds: int = ROUNDS) -> list[float]:
    """Times of writing 4 KiB over existing bytes of a file and syncing it, as a write-ahead log does, in ms."""
    path = folder / "fdatasync.probe"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, bytes(_PAGE * _PAGES), 0)
        os.fsync(descriptor)
        times = []
        for place in range(rounds):
            begun = time.perf_counter()
            os.pwrite(descriptor, os.urandom(_PAGE), place % _PAGES * _PAGE)
            os.fdatasync(descriptor)
            times.append((time.perf_counter() - begun) * MS)
        return times
    finally:
        os.close(descriptor)
        path.unlink()


def disk(times_ms: list[float]) -> Disk:
    """Their median and their 99th percentile."""
    return Disk(percentile(times_ms, 50), percentile(times_ms, 99))
