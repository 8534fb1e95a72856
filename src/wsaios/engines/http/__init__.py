"""Calls to other services over HTTP that cannot be turned against the network they are made from."""

from wsaios.engines.http.action import HttpAction
from wsaios.engines.http.errors import (
    CallRefused,
    CallTimedOut,
    HttpCallFailed,
    ReplyRefused,
    StatusFailed,
    TooManyRequests,
    Unreachable,
)

__all__ = [
    "CallRefused",
    "CallTimedOut",
    "HttpAction",
    "HttpCallFailed",
    "ReplyRefused",
    "StatusFailed",
    "TooManyRequests",
    "Unreachable",
]
