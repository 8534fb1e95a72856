"""Where a ledger is: a path or a URL such as ``sqlite:///work.db`` or ``postgresql://host/database``."""

import os
from pathlib import Path
from typing import Final, NamedTuple

from wsaios.kernel.errors import InvalidInput
from wsaios.ledger.postgres.address import address_of, is_postgres

_SCHEME: Final = "sqlite:///"
_MEMORY: Final = ":memory:"
_FORMS: Final = "use a path, sqlite:///relative.db, sqlite:////absolute/path.db, sqlite:///:memory: or postgresql://user@host/database"


class Location(NamedTuple):
    """A ledger's place; `name` is what messages call it.

    `path` None: it is on a server when `remote`, else in memory and ends with its process.
    """

    name: str
    path: Path | None
    remote: bool = False

    @property
    def lock(self) -> Path:
        """The file whose lock says who owns the ledger.

        Raises:
            ValueError: it is not in a file.
        """
        if self.path is None:
            raise ValueError("a ledger in memory or on a server has no lock file")
        return self.path.with_name(f"{self.path.name}.lock")


def locate(path_or_url: str | os.PathLike[str]) -> Location:
    """Read a path or URL.

    Raises:
        InvalidInput: it names no place that a ledger can have.
    """
    text = given = os.fspath(path_or_url)
    if is_postgres(text):
        return Location(address_of(text).name, None, remote=True)
    if "://" in text:
        if not text.startswith(_SCHEME):
            raise InvalidInput("ledger", f"{text!r} is not a ledger URL that can be opened here; {_FORMS}")
        text = text.removeprefix(_SCHEME)
        if "?" in text or "#" in text:
            raise InvalidInput("ledger", f"{given!r} has options, which a ledger URL does not take; {_FORMS}")
    if text == _MEMORY:
        return Location(f"{_SCHEME}{_MEMORY}", None)
    if not text or "\0" in text or text.endswith("/"):
        raise InvalidInput("ledger", f"{given!r} names no file; {_FORMS}")
    # One file has one lock, by whatever name it was reached.
    return Location(text, Path(os.path.realpath(text)))
