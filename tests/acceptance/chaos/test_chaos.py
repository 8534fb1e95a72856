"""The worst of the faults, for a moment each: nothing is lost, nothing is there twice, and work goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.chaos.faults import ON_POSTGRES, ON_SQLITE
from tests.acceptance.chaos.play import Played, play, repeated
from tests.acceptance.chaos.stage import on_postgres, on_sqlite
from tests.servers.postgres import PostgresServer, served

RATE = 60.0
QUIET_S = 1.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that may be crashed."""
    with contextmanager(served)(durable=True) as made:
        yield made


def sound(played: Played) -> None:
    """Timing on a shared machine says nothing; that it ever went on does."""
    assert (played.lost, played.twice, played.left) == (0, 0, 0)
    assert played.acknowledged > RATE
    assert played.recovered_s is not None


@pytest.mark.parametrize(
    "name", ["server crashed", "sessions ended, 2/s", "one of two killed", "connections cut", "connections exhausted"]
)
async def test_on_postgresql(server: PostgresServer, name: str) -> None:
    with on_postgres(server) as stage:
        sound(await play(stage, name, ON_POSTGRES[name], rate=RATE, quiet_s=QUIET_S, for_s=1.0))


async def test_on_sqlite(tmp_path: Path) -> None:
    with on_sqlite(tmp_path) as stage:
        sound(
            await play(
                stage,
                "killed again and again",
                ON_SQLITE["killed again and again"],
                rate=RATE,
                quiet_s=QUIET_S,
                for_s=1.0,
            )
        )


def test_what_is_not_as_promised_is_said() -> None:
    assert (repeated([3, 1, 2]), repeated(["7", "7", "1", "7"])) == (0, 2)
    good = Played("sqlite", "killed", 3.0, acknowledged=9, before=100.0, after=96.0, recovered_s=1.0)
    assert good.problems == []
    bad = Played("sqlite", "killed", 3.0, 9, lost=1, twice=2, left=3, before=100.0, after=90.0, recovered_s=11.0)
    assert len(bad.problems) == 5
    assert Played("sqlite", "killed", 3.0).problems == ["it went on never"]
