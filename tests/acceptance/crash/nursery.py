"""Bears workers: a process that has imported everything forks for each life, or most of a round would be imports."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

ROOT: Final = Path(__file__).parents[3]
_MESSAGE_BYTES: Final = 1 << 20


class Process(Protocol):
    """A worker that was started."""

    returncode: int | None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; minus the signal for one that was killed.

        Raises:
            subprocess.TimeoutExpired: it lives on.
        """

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it is gone."""


class Child:
    """A worker that was forked."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        """`channel` brings the exit code, which is also when the process is reaped."""
        self.returncode: int | None = None
        self._channel = channel
        self._handle = os.pidfd_open(pid)

    def wait(self, timeout: float | None = None) -> int:
        """As `Process.wait`."""
        if self.returncode is None:
            if not select.select([self._channel], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            self.returncode = int(_received(self._channel)["code"])
            os.close(self._handle)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """As `Process.send_signal`."""
        if self.returncode is None and not select.select([self._handle], [], [], 0.0)[0]:
            signal.pidfd_send_signal(self._handle, sig)


class Nursery:
    """One process that forks workers, one at a time."""

    def __init__(self) -> None:
        self._channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            command = [sys.executable, "-m", "tests.acceptance.crash.nursery", str(other.fileno())]
            self._process = subprocess.Popen(command, cwd=ROOT, pass_fds=[other.fileno()])

    def bear(self, arguments: Sequence[str], environment: Mapping[str, str], output: int, errors: int) -> Process:
        """Start a worker that writes to these two files."""
        request = json.dumps({"arguments": list(arguments), "environment": dict(environment)}).encode()
        socket.send_fds(self._channel, [request], [output, errors])
        # The child lives on as a zombie until its exit code was sent, so that its pid is surely its own here.
        pid = int(_received(self._channel)["pid"])
        child = Child(pid, self._channel)
        self._channel.send(b"{}")
        return child

    def close(self) -> None:
        """End the process."""
        self._channel.close()
        self._process.wait()


def main() -> None:
    """Serve requests until the other side is gone."""
    from tests.acceptance.crash import worker  # noqa: PLC0415  # its importer in the parent needs none of it

    channel = socket.socket(fileno=int(sys.argv[1]))
    while True:
        data, files, _, _ = socket.recv_fds(channel, _MESSAGE_BYTES, 2)
        if not data:
            return
        pid = os.fork()
        if not pid:
            channel.close()
            _live(worker.main, json.loads(data), files)
        for file in files:
            os.close(file)
        channel.send(json.dumps({"pid": pid}).encode())
        channel.recv(_MESSAGE_BYTES)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        channel.send(json.dumps({"code": code}).encode())


def _live(main_of_worker: Any, request: dict[str, Any], files: Sequence[int]) -> NoReturn:
    code = 1
    try:
        os.dup2(files[0], 1)
        os.dup2(files[1], 2)
        for file in files:
            os.close(file)
        os.environ.clear()
        os.environ.update(request["environment"])
        main_of_worker(request["arguments"])
        code = 0
    except BaseException:  # noqa: BLE001  # whatever it is belongs into the worker's errors
        traceback.print_exc()
    os._exit(code)


def _received(channel: socket.socket) -> dict[str, Any]:
    data = channel.recv(_MESSAGE_BYTES)
    if not data:
        raise RuntimeError("the process that forks workers is gone; its errors stand above")
    found: dict[str, Any] = json.loads(data)
    return found


if __name__ == "__main__":
    main()
