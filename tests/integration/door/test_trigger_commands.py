"""``wsaios trigger`` and ``wsaios emit``, on a ledger that nobody owns and beside a live scheduler."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.integration.door.owners import Owner
from wsaios import Client
from wsaios.cli import app


@pytest.fixture
def here(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("WSAIOS_LEDGER", url)
    return url


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def told(*arguments: str) -> str:
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def read(*arguments: str) -> object:
    return json.loads(told(*arguments, "--json"))


def test_a_trigger_from_its_declaration_to_its_end_without_an_owner(here: str) -> None:
    added = told(
        "trigger",
        "add",
        "rebuild",
        "--cron",
        "0 3 * * *",
        "--tz",
        "Europe/Berlin",
        "--args",
        '{"day": "${ trigger.at }"}',
        "--name",
        "nightly",
        "--overlap",
        "queue",
        "--catch-up",
        "all",
        "--set",
        "priority=5",
        "--set",
        "tenant=acme",
    )
    assert "cron 0 3 * * * Europe/Berlin" in added
    assert "a task of rebuild" in added
    told("trigger", "add", "rebuild", "--at", "2026-01-01T00:00Z", "--rows", '[{"a": 1}]', "--name", "once")
    told("trigger", "add", "index", "--on-event", "upload", "--where", "event.data.size > 1")
    told("trigger", "add", "look", "--on-change", "site.*")
    lines = told("trigger", "list").splitlines()
    assert [line.split()[0] for line in lines] == ["trigger", "nightly", "once", "index", "look"]
    shown = read("trigger", "show", "nightly")
    assert isinstance(shown, dict)
    assert shown["spec"]["start"] == {
        "start": "task",
        "handler": "rebuild",
        "arguments": {"day": "${ trigger.at }"},
        "options": {"priority": 5, "tenant": "acme"},
    }
    assert (shown["spec"]["overlap"], shown["spec"]["when"]["catch_up"]) == ("queue", "all")
    assert "\nstate     paused\n" in told("trigger", "pause", "nightly")
    assert told("trigger", "next", "nightly") == "no time\n"
    told("trigger", "resume", "nightly")
    times = told("trigger", "next", "nightly", "--count", "3").splitlines()
    assert len(times) == 4
    assert all("T03:00:00+0" in line for line in times[1:])
    assert told("trigger", "remove", "nightly") == "removed nightly\n"
    assert read("trigger", "remove", "once") == {"name": "once", "removed": True}
    assert "no trigger 'nightly'; there are index, look" in run("trigger", "show", "nightly").output


def test_events_reach_a_live_scheduler(owner: Owner, here: str) -> None:
    told("trigger", "add", "shout", "--on-event", "e", "--args", '{"text": "${ event.data.text }"}')
    event = read("emit", "e", "--data", '{"text": "hi"}')
    assert isinstance(event, dict)
    assert event["id"].startswith("event_")
    view = read("trigger", "show", "shout")
    assert isinstance(view, dict)
    with Client(here) as client:
        assert client.result(view["last_started"], timeout_s=20) == "HI"
    assert "\nfired         1\n" in told("trigger", "show", "shout")
    told("trigger", "add", "shout", "--cron", "0 3 * * *", "--args", '{"text": "night"}', "--name", "nightly")
    assert "\nfired         1\n" in told("trigger", "fire", "nightly")


def test_times_of_an_expression_need_no_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(told("trigger", "next", "--cron", "*/5 * * * *", "--tz", "America/New_York").splitlines()) == 6
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["trigger", "add", "h"], "give one of --cron, --at, --on-event, --on-change"),
        (["trigger", "add", "h", "--cron", "* * * * *", "--on-event", "e"], "not --cron, --on-event"),
        (["trigger", "add", "h", "--cron", "61 * * * *"], "bad minute"),
        (["trigger", "add", "h", "--cron", "* * * * *", "--where", "true"], "only events and changes have one"),
        (["trigger", "add", "h", "--cron", "* * * * *", "--args", "{"], "--args: must be JSON"),
        (["trigger", "add", "h", "--cron", "* * * * *", "--args", "[1]"], "arguments: must be a mapping"),
        (["trigger", "add", "h", "--cron", "* * * * *", "--set", "x"], "must be OPTION=VALUE"),
        (["trigger", "add", "h", "--cron", "* * * * *", "--set", "x=1"], "x: no such option of a trigger"),
        (["trigger", "add", "h", "--at", "tomorrow"], "must be a time such as"),
        (["trigger", "add", "h", "--at", "2026-01-01T00:00"], "has no time zone"),
        (["trigger", "next"], "give the name of one, or --cron"),
        (["trigger", "next", "--cron", "* * *"], "wrong number of fields"),
        (["trigger", "list"], "there is no such ledger"),
        (["emit", "e", "--data", "{"], "--data: must be JSON"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(here: str, ledger: Path, arguments: list[str], reason: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert reason in done.output
    assert not ledger.exists()
