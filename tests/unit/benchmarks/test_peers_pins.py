"""The environment of the peers is pinned, every package of it, by version alone."""

import re

from tests.architecture.modules import ROOT

PEERS = {"celery", "dbos", "dramatiq", "huey", "procrastinate"}


def test_every_line_is_one_exact_version() -> None:
    lines = (ROOT / "constraints" / "peers.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[A-Za-z0-9.+!]+", pin) for pin in pins)
    names = [pin.partition("==")[0] for pin in pins]
    assert len(set(names)) == len(names)
    assert set(names) >= PEERS
