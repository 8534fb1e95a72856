"""Turns what users say of the order into a checked Ordering."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, get_args

import msgspec

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.policy import PROFILES, AnyPolicy, FairShare, Mlfq, Ordering
from wsaios.planning.calls import name, seconds

_MOST_WEIGHT: Final = 1_000_000.0
_LONGEST_US: Final = 1 << 60
_MOST_LEVELS: Final = 16
_POSITIVE: Final = frozenset({"point_s", "age", "age_s", "slack_s", "max_depth", "horizon_s", "boost_s"})


def ordering_of(
    now: Ordering, policy: str | AnyPolicy | None = None, *, fair_share: bool | FairShare | None = None
) -> Ordering:
    """The ordering wanted; what is None stays as it is in `now`.

    Raises:
        InvalidInput: there is no such policy, or it has a value that no policy could work with.
    """
    chosen = now.policy if policy is None else _policy(policy)
    fair = now.fair
    if isinstance(fair_share, FairShare):
        fair = _fair(fair_share)
    elif isinstance(fair_share, bool):
        fair = FairShare() if fair_share else None
    elif fair_share is not None:
        raise InvalidInput("fair_share", f"must be True, False or FairShare(…), not {fair_share!r:.80}")
    return Ordering(chosen, fair)


def _policy(given: object) -> AnyPolicy:
    if isinstance(given, str):
        found = PROFILES.get(given)
        if found is None:
            close = get_close_matches(given, PROFILES, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InvalidInput("policy", f"there is none called {given!r:.80}, only {', '.join(PROFILES)}{hint}")
        return found
    if not isinstance(given, get_args(AnyPolicy)):
        raise InvalidInput("policy", f"must be one of {', '.join(PROFILES)}, or a policy, not {given!r:.80}")
    policy: AnyPolicy = given
    for field in msgspec.structs.fields(policy):
        value = getattr(policy, field.name)
        if isinstance(policy, Mlfq) and field.name == "quanta_ms":
            _quanta(value)
            continue
        low = 0.001 if field.name in _POSITIVE else 0.0
        seconds(f"policy.{field.name}", value, low, 1e9, what="number")
    if policy.longest_wait_us() > _LONGEST_US:
        raise InvalidInput("policy", "its weights let a task overtake for more than 30,000 years; make them smaller")
    return policy


def _quanta(quanta: object) -> None:
    if not isinstance(quanta, tuple) or not 1 <= len(quanta) <= _MOST_LEVELS:
        raise InvalidInput("policy.quanta_ms", f"must be a tuple of 1 to {_MOST_LEVELS} numbers, not {quanta!r:.80}")
    before = 0.0
    for place, quantum in enumerate(quanta):
        field = f"policy.quanta_ms[{place}]"
        if seconds(field, quantum, 0.001, 1e9, what="number of ms") < before:
            raise InvalidInput(field, f"is shorter than the one above it, {before:g} ms; lower levels run longer")
        before = quantum


def _fair(given: FairShare) -> FairShare:
    if not isinstance(given.weights, Mapping):
        raise InvalidInput("fair_share.weights", f"must be a mapping of tenants to numbers, not {given.weights!r:.80}")
    for tenant, weight in given.weights.items():
        field = f"fair_share.weights[{tenant!r:.80}]"
        seconds(field, weight, 1 / _MOST_WEIGHT, _MOST_WEIGHT, what="number")
        name("fair_share.weights", tenant)
    return given


def given(policy: str | None, values: list[str]) -> AnyPolicy | None:
    """The policy of a name with some of its values set, each as ``name=value``.

    Raises:
        InvalidInput: there is no such policy or value, or one that takes a number gets none, or several.
    """
    if policy is None:
        if values:
            raise InvalidInput("set", "name the policy whose values these are")
        return None
    chosen = _policy(policy)
    known = {field.name: field.type for field in msgspec.structs.fields(chosen)}
    changes: dict[str, Any] = {}
    for text in values:
        field, value = _pair("set", text)
        if field not in known:
            close = get_close_matches(field, known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            there = ", ".join(known) or "none"
            raise InvalidInput("set", f"policy {policy!r} has no value {field!r}; there are {there}{hint}")
        if field in changes:
            raise InvalidInput(f"set {field}", "is set twice; leave one of them away")
        changes[field] = _value(field, value)
    return _policy(msgspec.structs.replace(chosen, **changes))


def _value(field: str, text: str) -> float | tuple[float, ...]:
    many = field == "quanta_ms"
    try:
        return tuple(float(part) for part in text.split(",")) if many else float(text)
    except ValueError:
        wanted, such = ("numbers with commas between", "8,32,128") if many else ("one number", "60")
        reason = f"must be {wanted}, such as {field}={such}, not {text!r:.80}"
        raise InvalidInput(f"set {field}", reason) from None


def shares(weights: list[str], *, fair_share: bool | None) -> bool | FairShare | None:
    """Whether tenants share, with weights as ``tenant=number``.

    Raises:
        InvalidInput: a weight is no number, or there are some although tenants shall not share.
    """
    if not weights:
        return fair_share
    if fair_share is False:
        raise InvalidInput("weight", "tenants have weights only when they share; leave --no-fair-share away")
    found: dict[str, float] = {}
    for text in weights:
        tenant, value = _pair("weight", text)
        try:
            found[tenant] = float(value)
        except ValueError:
            raise InvalidInput("weight", f"of tenant {tenant!r} must be a number, not {value!r:.80}") from None
    return _fair(FairShare(found))


def _pair(field: str, text: str) -> tuple[str, str]:
    key, mark, value = text.partition("=")
    if not mark or not key:
        raise InvalidInput(field, f"must be NAME=VALUE, not {text!r:.80}")
    return key, value
