"""A private Redis server from the system's packages, in a temporary folder, for as long as somebody holds it."""

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

from tests.servers.postgres import free_port, tied

MISSING: Final = "no Redis server on this machine; on Debian or Ubuntu run: sudo apt-get install redis-server"
_START_S: Final = 20.0
_STOP_S: Final = 20.0
_TRIES: Final = 5


class RedisServer:
    """One server on a free port of 127.0.0.1, with an append-only file that is synced once a second."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise FileNotFoundError(MISSING)
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it.

        Raises:
            RuntimeError: it does not start; with its log.
        """
        for _ in range(_TRIES):
            self.port = free_port()
            if self._started():
                return
        raise RuntimeError(f"Redis does not start:\n{(self._folder / 'log').read_text()}")

    def stop(self) -> None:
        """Stop it; safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _started(self) -> bool:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
        }
        chosen = [word for name, value in settings.items() for word in (f"--{name}", value)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*tied("TERM"), self._program, *chosen], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until = time.monotonic() + _START_S
        while self._process.poll() is None and time.monotonic() < until:
            if self._answers():
                return True
            time.sleep(0.02)
        self.stop()
        return False

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as line:
                line.sendall(b"PING\r\n")
                return line.recv(16).startswith(b"+PONG")
        except OSError:
            return False
