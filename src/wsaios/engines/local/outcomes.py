"""From what a handler answered to the end of its attempt."""

from collections.abc import Iterable
from typing import Final

from wsaios.engines.local.answers import GiveUp, RetryAfter
from wsaios.engines.local.failures import failure_of, message_of
from wsaios.engines.local.run import Run
from wsaios.kernel.engine import Attempt, Ended, Verdict
from wsaios.kernel.json_text import JsonWriter
from wsaios.kernel.task import Failure

_SUCCEEDED: Final = Verdict.SUCCEEDED
_CANCELLED: Final = Failure("Cancelled", "its end was asked for")


def returned(attempt: Attempt, value: object, writer: JsonWriter) -> Ended:
    """The end of an attempt whose handler returned; an exception that is returned counts as raised."""
    if isinstance(value, BaseException):
        return raised((attempt,), value)[0]
    data = writer.write(value)
    if isinstance(data, Failure):
        return Ended(attempt.task, attempt.fence, Verdict.FAILED, failure=data)
    return Ended(attempt.task, attempt.fence, _SUCCEEDED, data)


def raised(attempts: Iterable[Attempt], error: BaseException) -> list[Ended]:
    """The ends of attempts whose call raised: all the same."""
    verdict, wait_s = Verdict.FAILED, 0.0
    if isinstance(error, RetryAfter):
        verdict, wait_s = Verdict.RETRY_AFTER, error.seconds
        failure = Failure("RetryAfter", message_of(error))
    elif isinstance(error, GiveUp):
        verdict, failure = Verdict.GIVEN_UP, Failure("GiveUp", message_of(error))
    else:
        failure = failure_of(error)
    return [Ended(each.task, each.fence, verdict, failure=failure, retry_after_s=wait_s) for each in attempts]


def failed(attempts: Iterable[Attempt], kind: str, message: str, *, for_good: bool = False) -> list[Ended]:
    """The ends of attempts that failed for a reason of the engine's own words; `for_good`: a next one would as well."""
    failure, verdict = Failure(kind, message), Verdict.GIVEN_UP if for_good else Verdict.FAILED
    return [Ended(each.task, each.fence, verdict, failure=failure) for each in attempts]


def stopped(run: Run, attempts: Iterable[Attempt]) -> list[Ended]:
    """The ends of attempts that were made to end: timed out or cancelled."""
    verdict, failure = Verdict.CANCELLED, _CANCELLED
    if run.overdue:
        limit_s = run.work.timeout_s or 0.0
        verdict, failure = Verdict.TIMED_OUT, Failure("TimedOut", f"it did not end within {limit_s:g} s")
    return [Ended(each.task, each.fence, verdict, failure=failure) for each in attempts]
