"""What names a ledger on PostgreSQL, and what messages say of it."""

import shlex
from urllib.parse import parse_qs, urlsplit

import pytest

from wsaios.kernel.errors import InvalidInput
from wsaios.ledger.postgres.address import address_of, dump_command, is_postgres


@pytest.mark.parametrize(
    "url, name, schema",
    [
        ("postgresql://me:secret@db.example:5433/work", "postgresql://me@db.example:5433/work", "wsaios"),
        ("postgres://db/work?schema=jobs", "postgresql://db/work?schema=jobs", "jobs"),
        ("postgresql:///work", "postgresql:///work", "wsaios"),
        ("postgresql://me:s%40c@[::1]:5432/work?sslmode=require", "postgresql://me@[::1]:5432/work", "wsaios"),
    ],
)
def test_a_url_is_named_without_its_password(url: str, name: str, schema: str) -> None:
    address = address_of(url)
    assert (address.name, address.schema) == (name, schema)
    assert "schema=" not in address.dsn


def test_options_of_the_connection_are_passed_on() -> None:
    dsn = address_of("postgresql://me:secret@db/work?sslmode=require&schema=jobs").dsn
    assert dsn == "postgresql://me:secret@db/work?sslmode=require"


def test_options_of_libpq_that_matter_are_kept_and_those_without_meaning_left_out() -> None:
    address = address_of(
        "postgresql://me@db/work?sslmode=verify-full&sslrootcert=%2Fca.pem&connect_timeout=12&keepalives=1"
        "&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=9&application_name=shop"
        "&channel_binding=prefer&gssencmode=disable&client_encoding=UTF8&target_session_attrs=read-write"
        "&options=-c%20statement_timeout%3D9s"
    )
    assert parse_qs(urlsplit(address.dsn).query) == {
        "sslmode": ["verify-full"],
        "sslrootcert": ["/ca.pem"],
        "target_session_attrs": ["read-write"],
        "options": ["-c statement_timeout=9s"],
    }
    assert address.connect_s == 12
    assert address_of("postgresql://me@db/work").connect_s == 5


@pytest.mark.parametrize(
    "option, reason",
    [
        ("channel_binding=require", "channel_binding=require .* has no channel binding.*sslmode=verify-full"),
        ("gssencmode=require", "gssencmode=require .* use sslmode"),
        ("client_encoding=LATIN1", "client_encoding=LATIN1 .* sent as UTF8"),
        ("gssdelegation=1", "no credentials"),
        ("sslsni=0", "always names the host"),
        ("sslcertmode=require", "leave it out"),
        ("load_balance_hosts=random", "in their order"),
        ("sslmode=required", "one of disable, .*, verify-full, not 'required'"),
        ("sslmode=", "one of disable"),
        ("sslrootcert=system", "ca-certificates.crt"),
        ("target_session_attrs=writable", "one of any, read-write"),
        ("connect_timeout=0", "1 to 3600 whole seconds, not '0'"),
        ("connect_timeout=5s", "not '5s'"),
        ("connect_timeout=" + 9000 * "9", "1 to 3600"),
        ("port=x", "port in the URL must be a number"),
        ("require_auth=scram-sha-256", "the option require_auth, .* can be given: application_name, .*, user;"),
        ("requirepeer=postgres", "the option requirepeer"),
        ("pgbouncer=true", "the option pgbouncer"),
        ("statement_timeout=5000", "options=-c%20name%3Dvalue"),
    ],
)
def test_what_cannot_be_had_is_refused_and_not_weakened(option: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        address_of(f"postgresql://me@db/work?sslmode=require&{option}")


@pytest.mark.parametrize("secret", ["12?cret", "12?cret=", "12?cret=7"])
def test_the_rest_of_a_password_is_not_shown(secret: str) -> None:
    with pytest.raises(InvalidInput, match="in a password is %3F") as caught:
        address_of(f"postgresql://me:{secret}@db/work")
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@db:port/work",
        "postgresql://me:secret@[db/work",
        "postgresql://me:secret@db/work?schema=Jobs",
        "postgresql://me:secret@db/work?schema=pg_temp",
        "postgresql://me:secret@db/work#part",
        "mysql://me:secret@db/work",
    ],
)
def test_what_is_no_place_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInput, match="ledger") as caught:
        address_of(url)
    assert "secret" not in str(caught.value)


def test_a_path_is_no_url_of_postgres() -> None:
    assert is_postgres("postgres://db/work")
    assert not is_postgres("work.db")
    assert not is_postgres("sqlite:///postgresql")
    assert not is_postgres("postgresql")


@pytest.mark.parametrize(
    "url, words",
    [
        (
            "postgresql://me:s%40c@db:5433/work?sslmode=require&schema=jobs&password=secret",
            ["--schema=jobs", "postgresql://me@db:5433/work?sslmode=require"],
        ),
        ("postgres:///work", ["--schema=wsaios", "postgresql:///work"]),
        (
            "postgresql://db/work?keepalives=1&options=-c%20a%3Db&channel_binding=disable",
            ["--schema=wsaios", "postgresql://db/work?keepalives=1&options=-c%20a%3Db&channel_binding=disable"],
        ),
    ],
)
def test_the_command_that_copies_a_ledger_has_no_password(url: str, words: list[str]) -> None:
    program, schema, form, file, place = shlex.split(dump_command(url, "my copy.dump"))
    assert [program, form, file] == ["pg_dump", "--format=custom", "--file=my copy.dump"]
    assert [schema, place] == words
