"""A definition as it was checked, and the hash of its content that is its version."""

from hashlib import sha256
from operator import attrgetter
from typing import Any, Final, Literal

import msgspec

from wsaios.kernel.limit import Amounts, amounts
from wsaios.kernel.task import CallOptions, Options

OnFailure = Literal["fail", "continue"]
WORK: Final = ("handler", "http", "model")
"""A step does one of these; one that only waits for an event does none."""


class _Part(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """What is left out has its default, and is left out of the canonical form. Holds values of JSON, so no ring."""


class Http(_Part, frozen=True, gc=False):
    """A call over HTTP, as the handler `api` makes it; `url`, `json` and `params` may hold templates."""

    url: str
    method: str = "GET"
    json: Any = None
    params: dict[str, Any] | None = None
    allow_private: bool = False


class WaitFor(_Part, frozen=True, gc=False):
    """An event that a step waits for once its dependencies have ended; `filter` reads `event.name` and `event.data`.

    `timeout_s` None: it waits for ever.
    """

    event: str
    filter: str = ""
    timeout_s: float | None = None


class Step(_Part, CallOptions, frozen=True, gc=False, kw_only=True):
    """One step, with the options of its calls."""

    id: str
    handler: str | None = None
    http: Http | None = None
    model: str | None = None
    args: dict[str, Any] = {}
    depends_on: tuple[str, ...] = ()
    when: str = ""
    foreach: str = ""
    max_parallel: int | None = None
    wait_for: WaitFor | None = None
    on_failure: OnFailure = "fail"
    lane: str = ""
    priority: int = 0
    concurrency_key: str = ""
    resources: dict[str, float] = {}
    costs: dict[str, float] = {}

    @property
    def options(self) -> Options | None:
        """How its tasks are tried, and what they ask of limits; None where nothing was said."""
        given = _given(self)
        if self.resources or self.costs:
            named = dict(zip(CallOptions.__struct_fields__, given, strict=True))
            return Options(**named, resources=_amounts(self.resources), costs=_amounts(self.costs))
        return None if given == _NOTHING else Options(*given)


class Definition(_Part, frozen=True, gc=False):
    """A whole workflow; `input` is a declaration for each name, `output` a template of what a run gives back."""

    name: str
    steps: tuple[Step, ...]
    description: str = ""
    input: dict[str, dict[str, Any]] = {}
    output: Any = None


def _amounts(given: dict[str, float]) -> Amounts | None:
    """None: as its handler says. Nothing of a unit is not asked for it."""
    return amounts({unit: amount for unit, amount in given.items() if amount}) if given else None


_given: Final = attrgetter(*CallOptions.__struct_fields__)
_NOTHING: Final = (None,) * len(CallOptions.__struct_fields__)
_CANONICAL: Final = msgspec.json.Encoder(order="sorted")


def canonical(definition: Definition) -> bytes:
    """The one JSON text of a definition: keys sorted, nothing that has its default."""
    return _CANONICAL.encode(definition)


def version_of(content: bytes) -> str:
    """The version of a canonical text: its SHA-256 in hex."""
    return sha256(content).hexdigest()
