"""A scheduler in a process of its own: it says ready, and what its handlers do, on standard output."""

import asyncio
import sys
from pathlib import Path

from wsaios import Scheduler, Settings


def say(*words: object) -> None:
    print(*words, flush=True)


async def main(ledger: str, serves: bool) -> None:
    url = ledger if "://" in ledger else f"sqlite:///{ledger}"
    scheduler = Scheduler(url, settings=Settings(serves=serves, grace_s=1, lease_s=1.0))
    freed = asyncio.Event()

    @scheduler.handler("echo")
    async def echo(value: object = None) -> object:
        return value

    @scheduler.handler("shout")
    def shout(text: str) -> str:
        return text.upper()

    @scheduler.handler("fails", max_attempts=1)
    async def fails(text: str) -> None:
        raise ValueError(text)

    @scheduler.handler("holds")
    async def holds(name: str) -> str:
        say("holds", name)
        await freed.wait()
        return name

    @scheduler.handler("frees")
    async def frees() -> None:
        freed.set()

    @scheduler.handler("notes")
    async def notes(path: str, line: str) -> None:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    async with scheduler:
        say("ready")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], "--no-door" not in sys.argv))
