"""A private PostgreSQL server from the system's packages, in a temporary folder, for as long as somebody holds it."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

MISSING: Final = "no PostgreSQL server on this machine; on Debian or Ubuntu run: sudo apt-get install postgresql"
USER: Final = "wsaios"
GUARDED: Final = "guarded"
SECRET: Final = "o'pen s&same"  # noqa: S105  # of a server that lives as long as its test
_START_S: Final = 60.0
_STOP_S: Final = 30.0
_TRIES: Final = 5
_ACCESS: Final = f"""\
host all {GUARDED} 127.0.0.1/32 scram-sha-256
host all nobody_{GUARDED} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""


def programs() -> Path | None:
    """The folder with initdb and postgres, of the newest version that there is."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if found:
        return max(found, key=lambda folder: float(folder.parent.name))
    elsewhere = shutil.which("postgres")
    return None if elsewhere is None else Path(elsewhere).resolve().parent


class PostgresServer:
    """One server on a free port of 127.0.0.1; with `durable` False it does not wait for its disk."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        """`folder` is empty, and below folders that everybody may pass."""
        where = programs()
        if where is None:
            raise FileNotFoundError(MISSING)
        self._programs = where
        self._folder = folder
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._schemas = 0
        self.port = 0

    @property
    def pid(self) -> int:
        """The process that all others of the server descend from."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "postgres", user: str = USER, password: str = "") -> str:
        """Where clients find a database."""
        who = f"{user}:{password}" if password else user
        return f"postgresql://{who}@127.0.0.1:{self.port}/{database}"

    def fresh(self, **options: str) -> str:
        """Where a new ledger of nobody else is: a schema that is not there yet."""
        self._schemas += 1
        query = "&".join(f"{name}={value}" for name, value in {"schema": f"ledger_{self._schemas}", **options}.items())
        return f"{self.url()}?{query}"

    def make(self) -> None:
        """Make the files of the server."""
        if os.getuid() == 0:
            shutil.chown(self._folder, self._account())
        data = str(self._data)
        self._run("initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        (self._data / "pg_hba.conf").write_text(_ACCESS)

    def start(self) -> None:
        """Start it, on the port that it had before if it had one.

        Raises:
            RuntimeError: it does not start; with its log.
        """
        for _ in range(_TRIES):
            port = self.port or free_port()
            if self._started(port):
                self.port = port
                return
        raise RuntimeError(f"PostgreSQL does not start:\n{self._log.read_text()}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends every session, SIGQUIT is a crash of the whole server. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait()

    def crash(self) -> None:
        """End it at once, as a fault of the machine would; what was committed is found again by `start`."""
        self.stop(signal.SIGQUIT)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _started(self, port: int) -> bool:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "60",
            "shared_buffers": "32MB",
            "fsync": "on" if self._durable else "off",
        }
        chosen = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(port), *chosen]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*tied(), *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **self._as_another()
            )
        until = time.monotonic() + _START_S
        while self._process.poll() is None and time.monotonic() < until:
            if self._ready():
                return True
            time.sleep(0.02)
        self.stop(signal.SIGQUIT)
        return False

    def _ready(self) -> bool:
        # The server writes its state into the last line of this file; pg_ctl looks there too.
        try:
            lines = (self._data / "postmaster.pid").read_text().split("\n")
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, cwd="/", text=True, check=False, **self._as_another())
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")

    def _account(self) -> str:
        """Whom a server started by root runs as: PostgreSQL refuses to be root."""
        names = {entry.pw_name for entry in pwd.getpwall()}
        return "postgres" if "postgres" in names else "nobody"

    def _as_another(self) -> dict[str, Any]:
        if os.getuid() != 0:
            return {}
        entry = pwd.getpwnam(self._account())
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def tied(how: str = "QUIT") -> list[str]:
    """What lets a server die by this signal with the process that starts it, where the system has it."""
    program = shutil.which("setpriv")
    return [] if program is None else [program, "--pdeathsig", how]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def served(*, durable: bool) -> Iterator[PostgresServer]:
    """A running server, stopped and gone when the generator goes on.

    Without PostgreSQL on the machine the test is skipped, and fails where CI=true says that nothing may be missing.
    """
    if programs() is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="wsaios-postgres-"))
    try:
        server = PostgresServer(folder, durable=durable)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
