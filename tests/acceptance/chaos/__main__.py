"""``python -m tests.acceptance.chaos --minutes 10``: faults one after the other, and what came of them."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tests.acceptance.chaos.faults import ON_POSTGRES, ON_SQLITE, Fault
from tests.acceptance.chaos.play import Played, play
from tests.acceptance.chaos.stage import Stage, on_postgres, on_sqlite
from tests.servers.postgres import PostgresServer, served

LEAST_S: Final = 3.0
LONGEST_S: Final = 60.0
_HEAD: Final = ("ledger", "fault", "s", "acknowledged", "lost", "twice", "before /s", "after /s", "back after s", "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Play them all; 1 when anything is not as promised."""
    options = _options(arguments)
    chosen = [
        (ledger, name, fault)
        for ledger, faults in (("sqlite", ON_SQLITE), ("postgres", ON_POSTGRES))
        for name, fault in faults.items()
        if options.ledger in {ledger, "both"} and (not options.only or name in options.only)
    ]
    if not chosen:
        print(f"no fault is called so; there are {', '.join(dict.fromkeys((*ON_SQLITE, *ON_POSTGRES)))}")
        return 2
    share_s = options.minutes * 60 / len(chosen)
    # A third of the time it is quiet before, a third there is a fault, and a third it must be as before.
    for_s = max(LEAST_S, min(LONGEST_S, share_s / 3))
    print(f"{len(chosen)} faults of {for_s:.0f} s each, {options.rate:g} calls a second", flush=True)
    with contextmanager(served)(durable=True) as server:
        done = [_one(server, ledger, name, fault, options.rate, for_s) for ledger, name, fault in chosen]
    print()
    print(_table(done))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_bytes(msgspec.json.format(msgspec.json.encode(done)) + b"\n")
    print(f"\nwritten to {options.json}")
    return int(any(each.problems for each in done))


def _one(server: PostgresServer, ledger: str, name: str, fault: Fault, rate: float, for_s: float) -> Played:
    with tempfile.TemporaryDirectory(prefix="wsaios-chaos-") as folder:
        place: AbstractContextManager[Stage] = on_sqlite(Path(folder)) if ledger == "sqlite" else on_postgres(server)
        with place as stage:
            played = asyncio.run(play(stage, name, fault, rate=rate, quiet_s=for_s, for_s=for_s))
    print("  ".join(_cells(played)), flush=True)
    return played


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for how long, all faults together")
    parser.add_argument("--ledger", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument("--only", action="append", default=[], help="a fault by its name; may be given again")
    parser.add_argument("--rate", type=float, default=200.0, help="calls a second")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/chaos.json"))
    return parser.parse_args(arguments)


def _cells(played: Played) -> list[str]:
    back = "never" if played.recovered_s is None else f"{played.recovered_s:.1f}"
    return [
        played.ledger,
        played.fault,
        f"{played.for_s:.0f}",
        f"{played.acknowledged:,}",
        str(played.lost),
        str(played.twice),
        f"{played.before:.0f}",
        f"{played.after:.0f}",
        back,
        "; ".join(played.problems) or "ok",
    ]


def _table(done: Sequence[Played]) -> str:
    rows = [list(_HEAD), *(_cells(each) for each in done)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
