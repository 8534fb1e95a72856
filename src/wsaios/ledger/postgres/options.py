"""Options in the URL of a ledger: those of libpq, as far as the driver (asyncpg) has them.

The driver itself takes a name that it does not know for a setting of the server, and ignores what it cannot do.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from wsaios.kernel.errors import InvalidInput

CONNECT_S: Final = 5.0
"""How long it may take to connect, unless the URL says otherwise."""
_LONGEST_S: Final = 3600
_PASSED: Final = (
    *("host", "port", "dbname", "user", "password", "passfile", "service", "options"),
    *("sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "ssl_min_protocol_version"),
    *("ssl_max_protocol_version", "krbsrvname", "gsslib"),
)
_CHOICES: Final = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
# Nothing is done with them here: sessions have names of their own, and ask themselves whether the server is there.
_IGNORED: Final = (
    *("application_name", "fallback_application_name", "sslcompression", "tcp_user_timeout"),
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
)
# What the driver does whatever is asked for, and why it does nothing else.
_ALWAYS: Final = {
    "channel_binding": (
        ("disable", "prefer"),
        "the driver has no channel binding; sslmode=verify-full with sslrootcert proves who the server is",
    ),
    "client_encoding": (
        ("utf8", "utf-8", "unicode"),
        "text is sent as UTF8, whatever the client's own is; leave it out",
    ),
    "gssencmode": (("disable", "prefer"), "the driver encrypts by TLS and not by GSSAPI; use sslmode"),
    "gssdelegation": (("0",), "the driver hands on no credentials; leave it out"),
    "load_balance_hosts": (("disable",), "hosts are tried in their order; leave it out"),
    "sslcertmode": (("allow",), "a certificate is sent when there is one and the server asks; leave it out"),
    "sslsni": (("1",), "the driver always names the host to the server; leave it out"),
}
_KNOWN: Final = sorted({*_PASSED, *_CHOICES, *_IGNORED, *_ALWAYS, "connect_timeout", "schema"})
_PLAIN: Final = re.compile(r"[a-z_]{1,40}")
_NUMBER: Final = re.compile(r"[0-9]{1,5}")
_PORTS: Final = re.compile(r"[0-9]{1,5}(,[0-9]{1,5})*")


class Options(NamedTuple):
    """What the driver is told; `connect_s` is how long it may take to connect."""

    passed: dict[str, str]
    connect_s: float


def options_of(asked: Mapping[str, str]) -> Options:
    """Sort what a URL asks for.

    Raises:
        InvalidInput: it cannot be done; nothing that was asked for is left out silently if it matters.
    """
    passed: dict[str, str] = {}
    connect_s = CONNECT_S
    for key, value in asked.items():
        if key == "connect_timeout":
            connect_s = _seconds(value)
        elif key in _PASSED or key in _CHOICES:
            _check(key, value)
            passed[key] = value
        elif key in _ALWAYS:
            allowed, reason = _ALWAYS[key]
            if value.lower() not in allowed:
                raise InvalidInput("ledger", f"{key}={value:.40} in the URL cannot be had: {reason}")
        elif key not in _IGNORED:
            raise _unknown(key, value)
    return Options(passed, connect_s)


def _check(key: str, value: str) -> None:
    allowed = _CHOICES.get(key, ())
    if allowed and value not in allowed:
        raise InvalidInput("ledger", f"{key} in the URL must be one of {', '.join(allowed)}, not {value!r:.40}")
    if key == "port" and not _PORTS.fullmatch(value):
        raise InvalidInput("ledger", f"port in the URL must be a number, or one for each host, not {value!r:.40}")
    if key == "sslrootcert" and value == "system":
        reason = "the driver takes a file; name that of the system, such as /etc/ssl/certs/ca-certificates.crt"
        raise InvalidInput("ledger", f"sslrootcert=system in the URL cannot be had: {reason}")


def _seconds(value: str) -> float:
    seconds = int(value) if _NUMBER.fullmatch(value) else 0
    if not 1 <= seconds <= _LONGEST_S:
        reason = f"connect_timeout in the URL must be 1 to {_LONGEST_S} whole seconds, not {value!r:.40}"
        raise InvalidInput("ledger", reason)
    return float(seconds)


def _unknown(key: str, value: str) -> InvalidInput:
    # It may be the rest of a password with a question mark in it.
    named = f"the option {key}" if _PLAIN.fullmatch(key) and "@" not in value else "an option"
    return InvalidInput(
        "ledger",
        f"the URL has {named}, which the driver (asyncpg) does not have; leave it out. These can be given: "
        f"{', '.join(_KNOWN)}; settings of the server go into options=-c%20name%3Dvalue, and ? in a password is %3F",
    )
