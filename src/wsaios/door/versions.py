"""Which versions of both sides understand each other."""

from wsaios.door.questions import PROTOCOL
from wsaios.kernel.version import __version__


def understood(protocol: int, version: str) -> bool:
    """Whether the other side speaks this protocol, in a version that carries the same in it (0.1.x with 0.1.y)."""
    return protocol == PROTOCOL and _series(version) == _series(__version__)


def _series(version: str) -> list[str]:
    return version.split(".")[:2]
