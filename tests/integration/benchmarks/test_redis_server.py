"""The private Redis server: durable as said, gone with its folder, and installed where it may be."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from benchmarks.servers import Servers
from tests.architecture.modules import ROOT
from tests.servers.redis import MISSING

needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason=MISSING)


def ask(port: int, words: str) -> list[str]:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        line.sendall(f"{words}\r\n".encode())
        return line.recv(4096).decode().split("\r\n")


@needs_redis
def test_it_appends_to_a_file_that_is_synced_every_second_and_goes_with_its_folder() -> None:
    with Servers() as servers, servers.redis() as place:
        port = int(place.url.partition("127.0.0.1:")[2].partition("/")[0])
        assert "yes" in ask(port, "CONFIG GET appendonly")
        assert "everysec" in ask(port, "CONFIG GET appendfsync")
        assert ask(port, "SET a b") == ["+OK", ""]
        assert list(place.folder.glob("appendonlydir/*"))
    with pytest.raises(ConnectionRefusedError):
        ask(port, "PING")
    assert not place.folder.exists()


@pytest.mark.parametrize("may", [True, False])
def test_the_package_is_installed_where_it_is_missing_and_may_be_without_a_server_of_its_own(
    tmp_path: Path, may: bool
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    policy = tmp_path / "policy-rc.d"
    bodies = {"id": f"echo {0 if may else 1000}", "apt-get": f'echo "$@" >>calls; [ -x {policy} ] && echo held >>calls'}
    for name, body in bodies.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    for name in ("chmod", "rm"):
        (programs / name).symlink_to(shutil.which(name) or name)
    done = subprocess.run(
        ["/bin/sh", str(ROOT / "tools" / "redis.sh")],
        cwd=tmp_path,
        env=os.environ | {"PATH": str(programs), "POLICY_RC_D": str(policy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "sudo apt-get install redis-server" in done.stderr
    calls = (tmp_path / "calls").read_text().splitlines() if may else []
    assert [call.split()[0] for call in calls] == (["update", "held", "install", "held"] if may else [])
    assert not policy.exists()
