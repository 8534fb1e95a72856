"""The private server of the tests: there when it is asked for, gone when it is not, and clearly missing."""

import os
import signal
import subprocess
from pathlib import Path

import asyncpg
import pytest

from tests.architecture.modules import ROOT
from tests.servers import postgres as server
from tests.servers.postgres import GUARDED, SECRET, PostgresServer, served


async def _ask(url: str, text: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(text)
    finally:
        await connection.close()


async def test_it_answers_on_a_port_of_this_machine(postgres: PostgresServer) -> None:
    assert await _ask(postgres.url(), "SELECT inet_server_port()") == postgres.port
    assert await _ask(postgres.url(), "SHOW fsync") == "off"


async def test_the_one_that_must_be_durable_waits_for_its_disk(durable_postgres: PostgresServer) -> None:
    assert await _ask(durable_postgres.url(), "SHOW fsync") == "on"
    assert await _ask(durable_postgres.url(), "SHOW full_page_writes") == "on"


async def test_it_runs_as_another_user_than_root(postgres: PostgresServer) -> None:
    assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0


async def test_it_comes_back_with_what_was_committed_after_a_crash(durable_postgres: PostgresServer) -> None:
    await _ask(durable_postgres.url(), "CREATE TABLE IF NOT EXISTS crashed AS SELECT 7 AS seven")
    port = durable_postgres.port
    durable_postgres.stop(signal.SIGQUIT)
    durable_postgres.start()
    assert durable_postgres.port == port
    assert await _ask(durable_postgres.url(), "SELECT seven FROM crashed") == 7


async def test_a_user_with_a_password_needs_it(postgres: PostgresServer) -> None:
    await _ask(postgres.url(), f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{SECRET.replace(chr(39), chr(39) * 2)}'")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await _ask(postgres.url("postgres", GUARDED, "wrong"), "SELECT 1")
    connection = await asyncpg.connect(postgres.url(user=GUARDED), password=SECRET)
    await connection.close()


def test_without_a_server_the_test_is_skipped_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "programs", lambda: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install postgresql"):
        next(served(durable=False))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install postgresql"):
        next(served(durable=False))


@pytest.mark.parametrize("may", [True, False])
def test_the_package_is_installed_where_it_is_missing_and_may_be(tmp_path: Path, may: bool) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, body in {"id": f"echo {0 if may else 1000}", "apt-get": 'echo "$@" >>calls', "mkdir": ""}.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    script = (ROOT / "tools" / "postgres.sh").read_text().replace("/usr/lib/postgresql", str(tmp_path / "none"))
    settings = tmp_path / "createcluster.conf"
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PATH": str(programs), "CREATECLUSTER_CONF": str(settings)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "sudo apt-get install postgresql" in done.stderr
    calls = (tmp_path / "calls").read_text().splitlines() if may else []
    assert [call.split()[0] for call in calls] == (["update", "install"] if may else [])
    assert not may or calls[1].split()[-1] == "postgresql"
    assert settings.exists() == may
