"""Draw docs/images/demo.svg: what a terminal shows of the demo, killed on its way and started again.

Nothing in it is made up; only the folder of the checkout is shown as ~/wsaios. Empties demo/work first, and takes as
long as the demo.

Usage: ``python -m tools.demo_picture``
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import shutil
import signal
import struct
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

ROOT: Final = Path(__file__).resolve().parent.parent
PICTURE: Final = ROOT / "docs" / "images" / "demo.svg"
WIDTH: Final = 100
KILLED_AT: Final = 0.4
_COLOURS: Final = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
_PROMPT: Final = "[bold green]$[/] "
_ROWS: Final = re.compile(r"([\d,]+)/([\d,]+) rows")
_REDRAWN: Final = re.compile(r"\r|\x1b\[2K")
_CURSOR: Final = re.compile(r"\x1b\[\?\d+[hl]")
_FONTS: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main() -> None:
    """Run the demo twice and write the picture."""
    shutil.rmtree(ROOT / "demo" / "work", ignore_errors=True)
    killed, _ = _seen(lambda screen: _share(screen) >= KILLED_AT)
    whole, status = _seen(lambda _: False)
    if status:
        sys.exit(f"the demo ended with {status}:\n{whole}")
    console = Console(width=WIDTH, record=True, file=io.StringIO(), highlight=False)
    console.print(f"{_PROMPT}make demo")
    _draw(console, killed)
    console.print("Killed[dim]                    # kill -9, from another terminal[/]")
    console.print(f"{_PROMPT}make demo")
    _draw(console, whole)
    picture = _FONTS.sub("", console.export_svg(title="make demo"))
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n", encoding="utf-8")
    print(f"written: {PICTURE.relative_to(ROOT)}")


def _seen(enough: Callable[[str], bool]) -> tuple[str, int]:
    """Run the demo on a terminal of its own until `enough` says so of its screen; the screen and the exit status."""
    process, terminal = pty.fork()
    if not process:
        demo = [sys.executable, str(ROOT / "demo" / "run.py")]
        os.execve(sys.executable, demo, os.environ | _COLOURS)  # noqa: S606  # a program of this project
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
    screen = ""
    while piece := _read(terminal):
        screen += piece
        if enough(screen):
            os.killpg(process, signal.SIGKILL)
            break
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    return screen, os.waitstatus_to_exitcode(status)


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 1 << 16).decode("utf-8", "replace")
    except OSError:
        return ""


def _share(screen: str) -> float:
    found = _ROWS.findall(screen)
    done, total = (int(number.replace(",", "")) for number in found[-1]) if found else (0, 1)
    return done / total


def _draw(console: Console, screen: str) -> None:
    shown = screen.replace("\r\n", "\n").replace(str(ROOT), "~/wsaios").rstrip()
    for line in shown.split("\n"):
        console.print(Text.from_ansi(_CURSOR.sub("", _REDRAWN.split(line)[-1])), overflow="crop", no_wrap=True)


if __name__ == "__main__":
    main()
