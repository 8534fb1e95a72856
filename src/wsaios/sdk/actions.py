"""The executor as programs see it: actions registered by name, submitted as lists, counted."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.task import API_HANDLER

_FIELDS = {"type", "target", "params"}


class Runner(Protocol):
    """The scheduler behind it."""

    def add_handler(self, name: str, function: Callable[..., Any], **options: Any) -> None:
        """Register a handler."""

    async def submit_each(self, calls: Sequence[tuple[str, Mapping[str, object]]]) -> list[str]:
        """Accept a task for each call, all or none; their ids."""

    async def start(self) -> None:
        """Begin."""

    async def stop(self) -> None:
        """End."""

    def counted(self) -> dict[str, int]:
        """Actions ended since this process started."""

    def count(self, name: str) -> None:
        """Count the tasks of this handler."""


class Actions:
    """Registers and submits actions; an action is a task of the handler it names."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def register(self, name: str, func: Callable[..., Any], **options: Any) -> None:
        """Make a function an action, with the options of `Scheduler.handler`.

        Raises:
            InvalidInput: the name is taken, or the function cannot be called by name of its arguments.
        """
        self._runner.add_handler(name, func, **options)
        self._runner.count(name)

    async def start(self) -> None:
        """Begin to run what is submitted."""
        await self._runner.start()

    async def stop(self) -> None:
        """Let what runs end, within the grace time."""
        await self._runner.stop()

    async def submit(self, actions: Sequence[Mapping[str, Any]]) -> list[str]:
        """Accept actions ``{"type", "target", "params"}`` and return their task ids once they are durable.

        Type ``handler`` calls the action named `target` with `params` as its arguments; type ``api`` calls the HTTP
        address `target` with `params` method, json, params, timeout.

        Raises:
            InvalidInput: names the action (from 1) and what is wrong with it; none was accepted.
        """
        if isinstance(actions, str | Mapping) or not isinstance(actions, Iterable):
            raise InvalidInput("actions", f"must be a list of mappings, not {type(actions).__name__}")
        calls = [_call(number, action) for number, action in enumerate(actions, start=1)]
        return await self._runner.submit_each(calls)

    @property
    def stats(self) -> dict[str, int]:
        """``{"ok", "fail"}``: actions that ended since this process started."""
        return self._runner.counted()


def _call(number: int, action: Any) -> tuple[str, dict[str, Any]]:
    where = f"action {number}"
    if not isinstance(action, Mapping) or not set(action) <= _FIELDS:
        raise InvalidInput(where, f"must be a mapping with {', '.join(sorted(_FIELDS))}, not {action!r:.80}")
    target, params = action.get("target"), action.get("params", {})
    if not isinstance(target, str) or not target:
        raise InvalidInput(f"{where}, target", "must name a handler, or an address for type api")
    if not isinstance(params, Mapping):
        raise InvalidInput(f"{where}, params", f"must be a mapping of names to values, not {type(params).__name__}")
    kind = action.get("type", "handler")
    if kind == "handler":
        return target, dict(params)
    if kind == "api":
        return API_HANDLER, {"url": target, **params}
    raise InvalidInput(f"{where}, type", f"must be handler or api, not {kind!r:.80}")
