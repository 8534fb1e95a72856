"""Named SQL statements, and the steps of the schema, from the folder of a database."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

_MARK: Final = "-- name: "


def statements(side: str, *names: str) -> Mapping[str, str]:
    """The statements of ``<side>/queries/<name>.sql`` by their own names, without comments.

    Raises:
        ValueError: two statements have one name.
    """
    found: dict[str, str] = {}
    folder = files("wsaios.ledger") / side / "queries"
    for name in names:
        text = (folder / f"{name}.sql").read_text("utf-8")
        for part in text.split(_MARK)[1:]:
            title, _, rest = part.partition("\n")
            if title in found:
                raise ValueError(f"two statements are called {title!r}")
            found[title] = "\n".join(line for line in rest.splitlines() if line and not line.startswith("--"))
    return found


def migrations(side: str) -> list[str]:
    """The SQL of every migration of a database, in order; the first one leads to schema 1.

    Raises:
        ValueError: the numbers of the files are not 1, 2, 3, ….
    """
    folder = files("wsaios.ledger") / side / "migrations"
    found = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    for place, entry in enumerate(found, 1):
        if not entry.name.startswith(f"{place:04}_"):
            raise ValueError(f"migration {entry.name} stands where number {place:04} belongs")
    return [entry.read_text("utf-8") for entry in found]
