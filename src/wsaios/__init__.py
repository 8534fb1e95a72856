"""One scheduler for AI work: it decides what runs next, and never loses it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsaios.bootstrap import Settings
    from wsaios.engines.local.answers import GiveUp, RetryAfter
    from wsaios.engines.local.context import Context
    from wsaios.kernel import errors
    from wsaios.kernel import policy as policies
    from wsaios.kernel.limit import Learn, Limit, LimitView, Rate
    from wsaios.kernel.policy import FairShare
    from wsaios.kernel.task import LaneSpec, Processes
    from wsaios.kernel.trigger import TriggerView
    from wsaios.kernel.version import __version__
    from wsaios.kernel.views import BatchView, RunView, Status, StepView, Transition, Why
    from wsaios.scheduler.service import Limits
    from wsaios.sdk.client import AsyncClient, Client
    from wsaios.sdk.components import GoalQueue, ParamOptimizer, RelationStore, RuleEngine, StateStore
    from wsaios.sdk.handles import Batch, Run, Task
    from wsaios.sdk.scheduler import Scheduler
    from wsaios.sdk.standalone import TaskExecutor
    from wsaios.sdk.transaction import submit_in
    from wsaios.sdk.triggering import Triggers
    from wsaios.sdk.workflows import Workflow

__all__ = [
    "AsyncClient",
    "Batch",
    "BatchView",
    "Client",
    "Context",
    "FairShare",
    "GiveUp",
    "GoalQueue",
    "LaneSpec",
    "Learn",
    "Limit",
    "LimitView",
    "Limits",
    "ParamOptimizer",
    "Processes",
    "Rate",
    "RelationStore",
    "RetryAfter",
    "RuleEngine",
    "Run",
    "RunView",
    "Scheduler",
    "Settings",
    "StateStore",
    "Status",
    "StepView",
    "Task",
    "TaskExecutor",
    "Transition",
    "TriggerView",
    "Triggers",
    "Why",
    "Workflow",
    "__version__",
    "errors",
    "policies",
    "submit_in",
]

_PLACES = {
    "__version__": "wsaios.kernel.version",
    "AsyncClient": "wsaios.sdk.client",
    "Batch": "wsaios.sdk.handles",
    "BatchView": "wsaios.kernel.views",
    "Client": "wsaios.sdk.client",
    "Context": "wsaios.engines.local.context",
    "FairShare": "wsaios.kernel.policy",
    "GiveUp": "wsaios.engines.local.answers",
    "GoalQueue": "wsaios.sdk.components",
    "LaneSpec": "wsaios.kernel.task",
    "Learn": "wsaios.kernel.limit",
    "Limit": "wsaios.kernel.limit",
    "LimitView": "wsaios.kernel.limit",
    "Limits": "wsaios.scheduler.service",
    "ParamOptimizer": "wsaios.sdk.components",
    "Processes": "wsaios.kernel.task",
    "Rate": "wsaios.kernel.limit",
    "RelationStore": "wsaios.sdk.components",
    "RetryAfter": "wsaios.engines.local.answers",
    "RuleEngine": "wsaios.sdk.components",
    "Run": "wsaios.sdk.handles",
    "RunView": "wsaios.kernel.views",
    "Scheduler": "wsaios.sdk.scheduler",
    "Settings": "wsaios.bootstrap",
    "StateStore": "wsaios.sdk.components",
    "Status": "wsaios.kernel.views",
    "StepView": "wsaios.kernel.views",
    "Task": "wsaios.sdk.handles",
    "TaskExecutor": "wsaios.sdk.standalone",
    "Transition": "wsaios.kernel.views",
    "TriggerView": "wsaios.kernel.trigger",
    "Triggers": "wsaios.sdk.triggering",
    "Why": "wsaios.kernel.views",
    "Workflow": "wsaios.sdk.workflows",
    "submit_in": "wsaios.sdk.transaction",
}

_MODULES = {"errors": "wsaios.kernel.errors", "policies": "wsaios.kernel.policy"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _MODULES:
        return import_module(_MODULES[name])
    place = _PLACES.get(name)
    if place is None:
        msg = f"module 'wsaios' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(place), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
