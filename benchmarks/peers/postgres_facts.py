"""What a PostgreSQL server would lose in a power cut."""

from typing import Any

import psycopg

ASKED = """\
SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')"""


def durability(url: str) -> tuple[str, bool]:
    """In words, and whether everything acknowledged survives."""
    with psycopg.connect(url) as connection:
        row: Any = connection.execute(ASKED).fetchone()
    version, fsync, commit = row
    said = f"PostgreSQL {version.split()[0]}, fsync {fsync}, synchronous_commit {commit}"
    return said, fsync == "on" and commit != "off"
