"""What of a limit a task waits for, in words."""

from wsaios.components.executor.gate import Gate, cost_of
from wsaios.kernel.limit import MILLION, TASKS, shown
from wsaios.kernel.task import Effective


def words(gate: Gate, options: Effective, now_us: int) -> str:
    """Why a task with these options cannot start under a limit now."""
    if gate.learner is not None and gate.learner.closed_us > now_us:
        wait_s = (gate.learner.closed_us - now_us) / MILLION
        return f"limit {gate.name!r} is closed for {wait_s:.3g} s more: the service asked to wait"
    parts = [_lack(gate, options, unit, now_us) for unit in gate.lacks(options, now_us)]
    if not parts:
        return f"a better one that waits for limit {gate.name!r} goes first"
    return f"limit {gate.name!r} {'; '.join(parts)}"


def too_much(gate: Gate, options: Effective, unit: str) -> str:
    """That a task asks for more of a unit than there is at all."""
    capacity = gate.capacity(unit)
    most = gate.rates[unit].limit if capacity is None else capacity
    asked = dict(options.resources)[unit] if capacity is not None else cost_of(options, unit)
    what = "raise the limit and resume it, or cancel it"
    return f"asks for {shown(asked)} {unit} of limit {gate.name!r}, which has {shown(most)}: {what}"


def _lack(gate: Gate, options: Effective, unit: str, now_us: int) -> str:
    capacity = gate.capacity(unit)
    if unit == TASKS:
        learned = gate.learner is not None and gate.most == gate.learner.allowed
        return f"lets {gate.most} run at a time{' (as it has learned)' if learned else ''}, and {gate.running} do"
    if capacity is not None:
        free, asked = capacity - gate.used.get(unit, 0), dict(options.resources)[unit]
        return f"has {shown(free)} of {shown(capacity)} {unit} left, and it asks for {shown(asked)}"
    rate = gate.rates[unit]
    when_us = rate.when_us(max(1, cost_of(options, unit)), now_us)
    wait = "" if when_us is None else f"; enough is free in {(when_us - now_us) / MILLION:.3g} s"
    used = shown(rate.limit - rate.room(now_us))
    return f"lets {shown(rate.limit)} {unit} start in {rate.per_us / MILLION:g} s, and {used} did{wait}"
