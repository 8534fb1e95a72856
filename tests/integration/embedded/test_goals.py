"""The hub: goals pursued at their cadence, durable; actions; watchers."""

import asyncio
import datetime as dt
import http.server
import threading
from collections.abc import Iterator

import pytest

from wsaios import Scheduler, Settings, TaskExecutor, errors


def actions(scheduler: Scheduler, ran: list[str], enough: asyncio.Event, count: int) -> None:
    loop = asyncio.get_running_loop()

    def note(name: str) -> None:
        ran.append(name)
        if len(ran) >= count:
            loop.call_soon_threadsafe(enough.set)

    def generate(topic: str = "AI") -> str:
        note("generate")
        return f"about {topic}"

    def publish(content: str) -> str:
        note(f"publish {content}")
        return content

    scheduler.executor.register("generate", generate)
    scheduler.executor.register("publish", publish)


async def test_a_goal_is_pursued_by_feasible_strategies_only(url: str) -> None:
    ran: list[str] = []
    enough = asyncio.Event()
    scheduler = Scheduler(url)
    actions(scheduler, ran, enough, 4)
    goal = scheduler.goals.add("publish", 5, cadence_s=0.05)
    scheduler.optimizer.init([{"actions": ["publish"]}, {"actions": ["nowhere"]}, {"actions": ["generate", "publish"]}])
    async with scheduler:
        await asyncio.wait_for(enough.wait(), 10)
        scheduler.goals.finish(goal)
        await scheduler.flush()
    assert ran[:2] == ["generate", "publish about AI"]
    assert scheduler.executor.stats["fail"] == 0
    assert scheduler.executor.stats["ok"] >= 4


async def test_goals_and_state_outlive_the_process(url: str) -> None:
    first = Scheduler(url)
    first.goals.add("持续发布内容", 8)
    first.state.set("site.rank", 5)
    first.relations.add_entity("a", "page")
    async with first:
        first.state.set("site.visits", {"today": 3})
    second = Scheduler(url)
    second.goals.add("持续发布内容", 9)
    second.state.set("site.rank", 6)
    async with second:
        assert second.state.snapshot() == {"site": {"rank": 6, "visits": {"today": 3}}}
        assert [(goal.desc, goal.priority) for goal in second.goals.open()] == [("持续发布内容", 9)]
        assert "a" in second.relations.query()["entities"]


async def test_watchers_hear_of_changes_and_one_that_raises_harms_nobody(url: str) -> None:
    heard: list[tuple[str, object, object]] = []
    done = threading.Event()

    def broken(key: str, old: object, new: object) -> None:
        raise RuntimeError(key)

    def listen(key: str, old: object, new: object) -> None:
        heard.append((key, old, new))
        if len(heard) == 2:
            done.set()

    async with Scheduler(url) as scheduler:
        scheduler.state.watch("site*", broken)
        scheduler.state.watch("site*", listen)
        scheduler.state.set("site.rank", 5)
        scheduler.state.set("site.rank", 4)
        scheduler.state.set("other", 1)
        await asyncio.to_thread(done.wait, 10)
    assert heard == [("site.rank", None, 5), ("site.rank", 5, 4)]


async def test_verbs_may_be_called_from_other_threads(url: str) -> None:
    async with Scheduler(url) as scheduler:
        goal = await asyncio.to_thread(scheduler.goals.add, "from a thread", 3)
        await asyncio.to_thread(scheduler.state.set, "x", 1)
        found = scheduler.goals.get_next()
        assert found is not None
        assert found["id"] == goal
        assert scheduler.state.get("x") == 1


async def test_the_executor_alone_runs_and_counts_actions() -> None:
    executor = TaskExecutor(workers=2)
    executor.register("add", lambda a, b=1: a + b)
    executor.register("fail", lambda: 1 // 0, max_attempts=1)
    await executor.start()
    ids = await executor.submit(
        [{"type": "handler", "target": "add", "params": {"a": 1}}, {"type": "handler", "target": "fail", "params": {}}]
    )
    await executor.stop()
    assert len(ids) == 2
    assert executor.stats == {"ok": 1, "fail": 1}


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"path": "%s"}' % self.path.encode()
        last = self.path.rpartition("/")[2]
        self.send_response(int(last) if last.isdecimal() else 200)
        if self.path.startswith("/later"):
            self.send_header("retry-after", "7")
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the base class's
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def test_an_api_action_calls_an_address_unless_it_is_private(url: str, address: str) -> None:
    action = {"type": "api", "target": f"{address}/rank", "params": {"params": {"q": "x"}}}
    async with Scheduler(url, settings=Settings(http_allow_private=True)) as open_one:
        (task,) = await open_one.executor.submit([action])
        reply = await open_one.result(task, timeout_s=10)
    async with Scheduler(url) as guarded:
        (task,) = await guarded.executor.submit([action])
        with pytest.raises(errors.TaskFailed, match=r"127\.0\.0\.1"):
            await guarded.result(task, timeout_s=30)
        assert (await guarded.status(task)).attempt == 1
    assert (reply["status"], reply["json"]) == (200, {"path": "/rank?q=x"})


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
async def test_an_api_action_that_the_service_blames_on_the_call_is_given_up(
    url: str, address: str, status: int
) -> None:
    async with Scheduler(url, settings=Settings(http_allow_private=True)) as scheduler:
        (task,) = await scheduler.executor.submit([{"type": "api", "target": f"{address}/{status}"}])
        with pytest.raises(errors.TaskFailed, match=f"status {status}"):
            await scheduler.result(task, timeout_s=10)
        assert (await scheduler.status(task)).attempt == 1


async def test_an_api_action_with_arguments_that_cannot_be_used_is_given_up(url: str) -> None:
    async with Scheduler(url) as scheduler:
        (task,) = await scheduler.executor.submit(
            [{"type": "api", "target": "https://example.org/", "params": {"method": "SHOUT"}}]
        )
        with pytest.raises(errors.TaskFailed, match="SHOUT"):
            await scheduler.result(task, timeout_s=10)
        assert (await scheduler.status(task)).attempt == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_an_api_action_waits_as_long_as_the_service_asks(url: str, address: str, status: int) -> None:
    async with Scheduler(url, settings=Settings(http_allow_private=True)) as scheduler:
        (task,) = await scheduler.executor.submit([{"type": "api", "target": f"{address}/later/{status}"}])
        at = await tried_again(scheduler, task)
        status_now = await scheduler.status(task)
        assert status_now.due_at is not None
        assert (status_now.due_at - at).total_seconds() == 7
        assert status_now.attempt == 0


@pytest.mark.parametrize("status", [408, 425, 500])
async def test_an_api_action_is_tried_again_when_another_moment_may_help(url: str, address: str, status: int) -> None:
    async with Scheduler(url, settings=Settings(http_allow_private=True)) as scheduler:
        (task,) = await scheduler.executor.submit([{"type": "api", "target": f"{address}/{status}"}])
        await tried_again(scheduler, task)
        assert (await scheduler.status(task)).state != "failed"


async def tried_again(scheduler: Scheduler, task: str) -> dt.datetime:
    """When it first failed and was to be tried again."""
    async with asyncio.timeout(10):
        while True:
            for line in await scheduler.history(task):
                if line.to_state == "retrying":
                    return line.at
            await asyncio.sleep(0.01)
