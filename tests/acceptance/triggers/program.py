"""A scheduler with a trigger for every second, and one for events, in a process that a failpoint may kill."""

import asyncio
import sys

from wsaios import Scheduler, Settings


async def main(url: str) -> None:
    scheduler = Scheduler(url, settings=Settings(grace_s=1, lease_s=1.0))

    @scheduler.handler("note")
    async def note(key: str) -> str:
        return key

    told = {"key": "${ trigger.key }"}
    scheduler.cron("* * * * * *", "note", told, name="tick", overlap="queue", catch_up="all", catch_up_limit=1000)
    async with scheduler:
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
