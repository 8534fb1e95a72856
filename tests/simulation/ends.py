"""Why a task may end as it did."""

from tests.simulation.red import Check, require
from tests.simulation.scenario import HANDLERS
from wsaios.kernel.intake import LEFT
from wsaios.kernel.states import State
from wsaios.kernel.task import Effective, Flag, Outcome, effective

_OPTIONS = {spec.name: spec.options for spec in HANDLERS}


def check_end(outcome: Outcome, handler: str) -> None:
    """The end of a task has a reason that its options and its history allow."""
    options = effective(outcome.body.options, _OPTIONS[handler])
    ran = bool(outcome.body.flags & Flag.STARTED)
    if outcome.state == State.EXPIRED:
        late = outcome.expires_us is not None and outcome.expires_us <= outcome.ended_us
        require(late and not ran, Check.OUTCOME, "{} expired", outcome)
    elif outcome.state == State.LOST:
        require(ran and options.at_most_once and outcome.failure is not None, Check.OUTCOME, "{} is lost", outcome)
    elif outcome.state == State.FAILED:
        turned_away = not ran and _was_turned_away(outcome)
        ended = turned_away or (ran and _may_fail(outcome, options))
        require(ended, Check.OUTCOME, "{} failed with {}", outcome, options)
    elif outcome.state == State.CANCELLED:
        require(outcome.failure is None and outcome.body.reason, Check.OUTCOME, "{} is cancelled", outcome)
    else:
        require(ran and outcome.failure is None, Check.OUTCOME, "{} succeeded", outcome)


def _was_turned_away(outcome: Outcome) -> bool:
    """It came from the intake and could not be accepted."""
    history = outcome.body.history
    return len(history) == 2 and history[0][3] == LEFT and outcome.failure is not None


def _may_fail(outcome: Outcome, options: Effective) -> bool:
    failure, body = outcome.failure, outcome.body
    if failure is None or body.attempts > options.max_attempts:
        return False
    given_up = failure.kind in {"GiveUp", "Poison"}
    return given_up or body.attempts == options.max_attempts
