"""A soak from end to end, for a moment: what it finds proves nothing, that it works does."""

from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from benchmarks import soak
from benchmarks.gauges import PostgresGauge, SqliteGauge
from benchmarks.processes import Failed
from benchmarks.soak_load import KINDS, Told
from tests.servers.postgres import PostgresServer

ON_SQLITE = {"wal_mib", "ledger_mib"}
ON_POSTGRES = {"dead_tuples", "tables_mib", "connections"}
EVERYWHERE = {"rss_mib", "descriptors", "threads", "cpu_us", "p50_ms", "p99_ms", "per_s", "others_cores"}


def test_every_kind_of_work_ends_and_the_report_says_what_was_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = soak.main(["--seconds", "3", "--every", "0.5", "--results", str(tmp_path)])
    report = msgspec.json.decode((tmp_path / "soak-sqlite.json").read_bytes(), type=soak.Report)
    assert {each.key for each in report.trends} == EVERYWHERE | ON_SQLITE
    assert code == int(any(each.verdict == "grows" for each in report.trends))
    assert all(report.ended[kind] for kind in KINDS if kind != "states")
    assert len(report.samples) >= 2
    assert all(sample.values["rss_mib"] > 5 and sample.values["wal_mib"] > 0 for sample in report.samples)
    said = capsys.readouterr()
    assert all(each.says in said.out for each in report.trends)
    assert "/3 s: " in said.err
    picture = ET.fromstring((tmp_path / "soak-sqlite.svg").read_text(encoding="utf-8"))  # noqa: S314  # our own
    assert len(picture.findall("{*}polyline")) == len(report.trends)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_on_postgresql_the_tables_are_watched(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.fresh()
    with PostgresGauge(url) as gauge:
        watched = soak.watch(Told(url, 2.0, 0.5, 10.0), gauge, tmp_path)
    assert {each.key for each in soak.compare(watched.samples)} == EVERYWHERE | ON_POSTGRES
    assert all(sample.values["tables_mib"] > 0 and sample.values["connections"] > 0 for sample in watched.samples)


def test_what_grows_is_told_and_ends_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [soak.Sample(float(at), {"rss_mib": 40.0 + at / 10, "descriptors": 20.0}) for at in range(300)]
    monkeypatch.setattr(soak, "watch", lambda *_: soak.Watched(samples, {"singles": 9}, 3))
    assert soak.main(["--seconds", "300", "--results", str(tmp_path)]) == 1
    lines = {line.split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["memory of the process"].endswith("GROWS")
    assert "MiB   +361 MiB" in lines["memory of the process"]
    assert lines["open descriptors"].endswith("flat")


def test_a_load_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"(?s)ended with 1.*not a ledger URL"):
        soak.watch(Told("nothing://", 1.0, 0.2, 0.1), SqliteGauge(tmp_path / "none.db"), tmp_path)
