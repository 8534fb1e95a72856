"""The named checks of the simulation: what turns red says which promise was broken."""

from enum import StrEnum


class Check(StrEnum):
    """A promise that is looked at after every step."""

    STEP = "a step decides and its commit is accepted"
    PLACE = "each accepted task is in exactly one state and place, never lost"
    ATTEMPT = "at most one live attempt under the current fence"
    EFFECTS = "nothing is told or dispatched that is not committed"
    OUTCOME = "an outcome is written once and never changes"
    RESULT = "a result comes from the holder of the fence"
    HISTORY = "a history is a chain of allowed changes whose fences never fall"
    SLOTS = "occupancy is the engine's, and no lane is above its slots"
    KEYS = "no concurrency key is above its limit"
    LIMITS = "no limit is exceeded, and nothing of one leaks"
    ORDER = "no task starts while a better one that could start waits"
    IDLE = "no slot is free beside a task that could start"
    BOUND = "waiting is bounded by the policy"
    TIMERS = "what waits for a time goes on when it comes"
    MEMORY = "memory agrees with the ledger and holds no more than it needs"
    DEPENDENCIES = "a task knows how many dependencies are open, and hears of each"
    BATCHES = "a batch counts its outcomes, and its rows exist from the seal on"
    PAUSES = "what is paused is a fact, and does not start"
    ONCE = "an at-most-once task is dispatched once"
    IDEMPOTENCY = "one key stands for one task"
    ANSWERED = "who asks is told, or told that nobody knows"
    OWNER = "an owner whose epoch is over changes nothing"
    ALONE = "a task of several deaths runs alone"
    GOALS = "a goal has one plan at a time, and its plan waits for a task that lives"
    TRIGGERS = "each time, event and change fires once, as its trigger says"
    TWINS = "the simulated and the real ledger say the same"
    STEPS = "a step begins when all before it ended, once, and a run ends with them"
    DRAIN = "everything ends once the faults stop"


class Red(AssertionError):
    """A check that failed, with what was seen."""

    def __init__(self, check: Check, seen: str) -> None:
        super().__init__(f"{check.name}: {check.value}: {seen}")
        self.check = check
        self.seen = seen


def require(holds: object, check: Check, seen: str, *values: object) -> None:
    """Turn the check red unless it holds; `seen` is a template for the values, filled in only then."""
    if not holds:
        raise Red(check, seen.format(*values))
