"""Which batch of a ledger stands behind a plan, and whose files are in the way of its own."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from wsaios.kernel.errors import InvalidInput
from wsaios.kernel.task import Batch
from wsaios.kernel.views import BatchView
from wsaios.sdk.batch_plan import Plan
from wsaios.sdk.result_files import errors_beside

_HINT: Final = "name another --out, or add --fresh to run anew and replace it"
_WHOLE: Final = "sealed"
_OF_A_LEDGER: Final = frozenset({"", "-wal", "-shm", "-journal", ".lock", ".sock"})
_TOLD: Final = (
    ("digest", "the content of the input"),
    ("map", "--map"),
    ("id", "--id"),
    ("handler", "--handler or --model"),
    ("limit", "--limit"),
    ("lane", "--lane"),
    ("batch_size", "--batch-size"),
    ("max_attempts", "--max-attempts"),
)


def refuse_foreign(plan: Plan, batches: Iterable[BatchView]) -> None:
    """Make sure that the files of the plan are its own to write; `batches` are those of the ledger, latest first.

    Raises:
        InvalidInput: another batch has this ``--out``, and what differs; or files stand there that nobody here wrote.
    """
    if plan.request.fresh:
        return
    mine = {str(plan.paths.results), str(plan.paths.errors)}
    for batch in batches:
        shared = mine & _files(batch) if batch.state == _WHOLE else None
        if shared:
            if batch.meta.get("key") != plan.key:
                name = plan.request.out if str(plan.paths.results) in shared else plan.paths.errors
                raise InvalidInput("--out", f"{name} belongs to {_other(batch, plan)}; {_HINT}")
            return


def refuse_ledger(plan: Plan, ledger: Path | None) -> None:
    """Make sure that no file of the plan is one of the ledger's, which not even ``--fresh`` may replace.

    Raises:
        InvalidInput: names the file.
    """
    if ledger is None:
        return
    for path in (plan.paths.results, plan.paths.errors):
        if path.parent == ledger.parent and path.name.removeprefix(ledger.name) in _OF_A_LEDGER:
            raise InvalidInput("--out", f"{path} is a file of the ledger; name another --out, or another --ledger")


def refuse_unknown(plan: Plan, existing: Iterable[Path]) -> None:
    """Refuse files that stand where those of the plan would, when no batch of the ledger is known to have written them.

    Raises:
        InvalidInput: names the file.
    """
    for path in existing:
        if not plan.request.fresh:
            reason = f"{path} exists, and no batch of this ledger is known to have written it"
            raise InvalidInput("--out", f"{reason}; {_HINT}")


def given_up(plan: Plan, batches: Iterable[BatchView], current: str) -> list[str]:
    """The ids of those that the current batch replaces and that are not finished."""
    mine = {"key": plan.key, "out": str(plan.paths.results)}
    return [
        batch.id
        for batch in batches
        if batch.id != current
        and batch.state == _WHOLE
        and not batch.finished
        and any(batch.meta.get(name) == value for name, value in mine.items())
    ]


def owns_out(plan: Plan, batch: Batch | None) -> bool:
    """Whether the batch was run for the very files of the plan."""
    return batch is not None and batch.meta.get("out") == str(plan.paths.results)


def _files(batch: BatchView) -> set[str]:
    out = batch.meta.get("out")
    return {out, str(errors_beside(Path(out)))} if isinstance(out, str) and out else set()


def _other(writer: BatchView, plan: Plan) -> str:
    mine, theirs = plan.meta(), writer.meta
    differences = [told for name, told in _TOLD if theirs.get(name) != mine[name]]
    source = Path(str(theirs.get("input", "another file")))
    where = f"{writer.id} of {source.name if source.parent == plan.file.path.parent else source}"
    return f"{where}, which differs in {', '.join(differences) or 'its version'}"
