"""Where a ledger on PostgreSQL is: a URL such as ``postgresql://user@host/database?schema=wsaios``."""

import re
import shlex
from hashlib import md5
from typing import Final, Literal, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from wsaios.kernel.errors import InvalidInput
from wsaios.ledger.postgres.options import CONNECT_S, options_of

Channel = Literal["in", "out"]
"""Work and questions come in, ends and answers go out."""
SCHEMES: Final = ("postgresql", "postgres")
SCHEMA: Final = "wsaios"
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_NOT_DUMPED: Final = ("schema", "password", "sslpassword")
_FORM: Final = "use postgresql://user:password@host:5432/database, with ?schema=name for another schema than wsaios"


class Address(NamedTuple):
    """A ledger's place; `name` is what messages call it and has no password, `dsn` is what the driver connects to.

    `connect_s` is how long that may take.
    """

    name: str
    dsn: str
    schema: str
    connect_s: float = CONNECT_S


def is_postgres(path_or_url: str) -> bool:
    """Whether the text names a ledger on PostgreSQL."""
    return path_or_url.partition("://")[0] in SCHEMES and "://" in path_or_url


def address_of(url: str) -> Address:
    """Read a URL.

    Raises:
        InvalidInput: it is none, or has an option that cannot be had; the message does not repeat it, for it may hold
            a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidInput("ledger", f"the URL cannot be read; {_FORM}") from None
    if not is_postgres(url) or parts.fragment:
        raise InvalidInput("ledger", f"the URL is none of PostgreSQL; {_FORM}")
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    schema = checked_schema(asked.pop("schema", SCHEMA))
    options = options_of(asked)
    dsn = urlunsplit(parts._replace(query=urlencode(options.passed)))
    return Address(_name(parts, port, schema), dsn, schema, options.connect_s)


def checked_schema(schema: str) -> str:
    """The name of a schema that a ledger can have.

    Raises:
        InvalidInput: it is none.
    """
    if not _NAME.fullmatch(schema) or schema.startswith("pg_"):
        raise InvalidInput("ledger", f"schema {schema!r:.80} must be a lower-case name of at most 63 characters")
    return schema


def channel_of(schema: str, channel: Channel) -> str:
    """The name under which the server tells those who listen."""
    return f"wsaios_{channel}_{md5(schema.encode(), usedforsecurity=False).hexdigest()[:16]}"


def dump_command(url: str, file: str) -> str:
    """The command for a shell that copies a ledger to a file; it has no password.

    Raises:
        InvalidInput: as `address_of`.
    """
    address = address_of(url)
    parts = urlsplit(url)
    account, at, hosts = parts.netloc.rpartition("@")
    # pg_dump knows all options of libpq, and takes + for itself.
    asked = [(key, value) for key, value in parse_qsl(parts.query) if key not in _NOT_DUMPED]
    query = urlencode(asked, quote_via=quote)
    where = f"{account.partition(':')[0]}{at}{hosts}{parts.path}{query and '?'}{query}"
    words = ["pg_dump", f"--schema={address.schema}", "--format=custom", f"--file={file}", f"postgresql://{where}"]
    return shlex.join(words)


def _name(parts: SplitResult, port: int | None, schema: str) -> str:
    user = f"{unquote(parts.username)}@" if parts.username else ""
    host = parts.hostname or ""
    where = f"[{host}]" if ":" in host else host
    place = f"{where}:{port}" if port else where
    query = "" if schema == SCHEMA else f"?schema={schema}"
    return f"postgresql://{user}{place}{parts.path}{query}"
