"""The command line: it speaks to the faces in `wsaios.sdk`, and says in words and exit statuses what they answer."""

from wsaios.cli.root import app, main

__all__ = ["app", "main"]
