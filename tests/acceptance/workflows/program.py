"""A scheduler that begins one run, or goes on with it, and journals what its handlers do.

``python -m tests.acceptance.workflows.program URL JOURNAL``; the run has a key, so that there is one only.
"""

import asyncio
import os
import sys

from wsaios import Run, Scheduler, Settings, Workflow

ITEMS = 40


def flow() -> Workflow:
    made = Workflow("fan", output="${[steps.sum.result, steps.asked.result]}")
    made.step("first", handler="work", args={"name": "first", "value": 1})
    made.step(
        "each",
        handler="work",
        foreach=str(list(range(ITEMS))),
        args={"name": "${'each ' + string(item)}", "value": "${item + steps.first.result}"},
        depends_on="first",
        max_parallel=6,
    )
    for number in range(6):
        before = "first" if not number else f"chain{number - 1}"
        value = "${steps." + before + ".result + 1}"
        made.step(f"chain{number}", handler="work", args={"name": f"chain{number}", "value": value}, depends_on=before)
    made.step("skipped", handler="work", when="steps.first.result > 1", depends_on="first")
    made.step("asked", wait_for={"event": "go"}, depends_on="skipped")
    made.step(
        "sum",
        handler="total",
        args={"values": "${steps.each.result}", "more": "${steps.chain5.result}"},
        depends_on=["each", "chain5"],
    )
    return made


async def standing(run: Run) -> str:
    """Where the step that waits for an event is."""
    return next(step.state for step in await run.steps() if step.id == "asked")


async def main(url: str, journal: str) -> None:
    file = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def work(name: str = "", value: int = 0) -> int:
        os.write(file, f"{name}\n".encode())
        await asyncio.sleep(0.004)
        return value

    async def total(values: list[int], more: int) -> int:
        os.write(file, b"sum\n")
        return sum(values) + more

    async with Scheduler(url, settings=Settings(lease_s=1.0)) as scheduler:
        scheduler.add_handler("work", work)
        scheduler.add_handler("total", total)
        run = await scheduler.run_workflow(flow(), idempotency_key="once")
        os.write(1, f"{run.id}\n".encode())
        while (state := await standing(run)) == "pending":  # noqa: ASYNC110  # nobody is told when a step waits
            await asyncio.sleep(0.02)
        if state == "waiting":
            await run.signal("go", "gone")
        os.write(1, f"{await run.result(60)}\n".encode())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
