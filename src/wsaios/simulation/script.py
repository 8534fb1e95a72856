"""How simulated handlers behave."""

from collections.abc import Callable, Sequence

import msgspec

from wsaios.kernel.engine import Attempt, Ended, Noted, Verdict, Work
from wsaios.kernel.task import Failure


class Answer(msgspec.Struct, frozen=True):
    """How one attempt goes: after `takes_us` (None: not before it is released) it ends.

    `stubborn`: it goes on although it is cancelled or out of time. `fraction` and `saved` are noted when it begins.
    """

    takes_us: int | None = 1_000
    verdict: Verdict = Verdict.SUCCEEDED
    result: bytes = b"null"
    failure: Failure | None = None
    retry_after_s: float = 0.0
    stubborn: bool = False
    fraction: float | None = None
    saved: bytes | None = None

    def end(self, attempt: Attempt) -> Ended:
        """The end of an attempt that goes this way."""
        result = self.result if self.verdict == Verdict.SUCCEEDED else b""
        return Ended(attempt.task, attempt.fence, self.verdict, result, self.failure, self.retry_after_s)

    def note(self, attempt: Attempt) -> Noted | None:
        """What the attempt says when it begins, if anything."""
        if self.fraction is None and self.saved is None:
            return None
        return Noted(attempt.task, attempt.fence, self.fraction, "", self.saved)


Script = Callable[[Work, Attempt], Answer]


def fenced_result(_work: Work, attempt: Attempt) -> Answer:
    """Succeed with ``[task, fence]``, so that a result tells which attempt it came from."""
    return Answer(result=msgspec.json.encode((attempt.task, attempt.fence)))


def together(work: Work, answers: Sequence[Answer]) -> Sequence[Answer]:
    """The answers of the rows of one call: where rows may run once only, one that fails takes all along."""
    if work.at_most_once:
        for answer in answers:
            if answer.verdict == Verdict.FAILED:
                return [answer] * len(answers)
    return answers
