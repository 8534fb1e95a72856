"""Drive one system: ``python -m benchmarks.peers.client MODULE``; its worker imports the same module."""

import importlib
import sys

if __name__ == "__main__":
    importlib.import_module(f"benchmarks.peers.{sys.argv[1]}").main()
