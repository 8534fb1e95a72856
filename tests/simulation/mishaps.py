"""What happens to owners and to their commits."""

from enum import StrEnum
from typing import Final


class Mishap(StrEnum):
    """Each is counted, and over the suite each must have happened."""

    COMMIT_LOST = "a commit failed and nothing of it was written"
    COMMIT_UNKNOWN = "a commit was written and its word was lost"
    RENEWAL_FAILED = "the lease could not be renewed while no commit was on its way"
    DEATH_IDLE = "the owner died between two steps"
    DEATH_DECIDED = "the owner died before its commit"
    DEATH_COMMITTED = "the owner died between its commit and the acknowledgements"
    DEATH_ACKNOWLEDGED = "the owner died between acknowledging and dispatching"
    DEATH_DISPATCHED = "the owner died in the middle of dispatching"
    DEATH_STAGING = "the owner died while a batch was staged"
    DEATH_PURGING = "the owner died while an aborted batch was deleted"
    DEATH_SWEEPING = "the owner died while a verb was on its way through many tasks"
    DEATH_TELLING = "the owner died while dependents were told"
    ENGINE_DIED = "the workers died with their owner"
    ENGINE_STAYED = "the workers outlived their owner"
    TAKEOVER = "another owner took the ledger"
    VISIT = "a client wrote while no owner lived"
    RESTART = "the owner stopped in good order and started again"
    PROBED = "an attempt that the engine does not know was reported lost"


AT_A_STEP: Final = (
    Mishap.DEATH_DECIDED,
    Mishap.DEATH_COMMITTED,
    Mishap.DEATH_ACKNOWLEDGED,
    Mishap.DEATH_DISPATCHED,
)


class OwnerDiedError(Exception):
    """The owner ends here, in the middle of whatever it did."""
