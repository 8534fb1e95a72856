"""The schema of a ledger: made, brought up to date, or refused."""

from wsaios.kernel.errors import LedgerBroken, LedgerTooNew, LedgerUnavailable
from wsaios.kernel.failpoints import Failpoint, nothing
from wsaios.ledger.postgres.commit import undo
from wsaios.ledger.postgres.session import Session
from wsaios.ledger.statements import migrations
from wsaios.ledger.transfer import unfinished


async def found(session: Session, ledger: str, schema: str) -> int:
    """Which migrations the schema has: the number of the last one, 0 for none.

    Raises:
        LedgerBroken: it belongs to another program.
        LedgerTooNew: a newer version wrote it.
    """
    ((ours, any_table),) = await session.rows("tables_there", schema=schema)
    if not ours:
        if any_table:
            raise LedgerBroken(ledger, f"schema {schema!r} has tables of another program; name another with ?schema=")
        return 0
    known, version = len(migrations("postgres")), int(await session.value("schema_version"))
    if version > known:
        raise LedgerTooNew(ledger, version, known)
    return version


async def upgrade(session: Session, ledger: str, schema: str, failpoint: Failpoint = nothing) -> None:
    """Apply the migrations that are missing, each in one transaction. The caller holds the lock of the ledger.

    Raises:
        LedgerBroken, LedgerTooNew: as `found`.
    """
    steps = migrations("postgres")
    for version in range(await found(session, ledger, schema) + 1, len(steps) + 1):
        await session.change("commit_begin", {})
        try:
            if version == 1 and not await session.value("schema_there", schema=schema):
                await session.change("schema_make", {})
            await session.script(steps[version - 1])
            await session.change("schema_advanced", {"version": version})
            failpoint("open.migrating")
            await session.change("commit_end", {})
        except BaseException:
            await undo(session)
            raise


async def require(session: Session, ledger: str, schema: str) -> None:
    """Make sure that the schema is the one this version reads.

    Raises:
        LedgerBroken, LedgerTooNew: as `found`.
        LedgerUnavailable: it is not there or older, and only an owner may change it.
    """
    known, version = len(migrations("postgres")), await found(session, ledger, schema)
    if version == 0:
        raise LedgerUnavailable.missing(ledger)
    if version < known:
        raise LedgerUnavailable.older(ledger, version, known)


async def refuse_half(session: Session, ledger: str) -> None:
    """Make sure that this is no copy that was begun and not finished.

    Raises:
        LedgerUnavailable: it is.
    """
    if await session.value("copying_there"):
        raise unfinished(ledger, await session.value("copying_source"))
