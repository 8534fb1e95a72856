"""The engine of this process: coroutines on the loop, plain functions in threads or processes of its own."""

from wsaios.engines.local.answers import GiveUp, RetryAfter
from wsaios.engines.local.context import Context
from wsaios.engines.local.engine import LocalEngine
from wsaios.engines.local.handlers import Handler, Handlers

__all__ = ["Context", "GiveUp", "Handler", "Handlers", "LocalEngine", "RetryAfter"]
