"""Measure WSAIOS on this machine and hold every figure against its floor.

Usage: ``python benchmarks/run.py [--only NAME] [--quick] [--list]`` (``--help`` tells the rest), or ``make bench``. The
table goes to the terminal, everything else about the run as JSON to ``benchmarks/results/``.
"""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    runpy.run_module("benchmarks.suite", run_name="__main__", alter_sys=True)
