"""``python -m wsaios`` is ``wsaios``."""

from wsaios.cli import main

if __name__ == "__main__":
    main()
