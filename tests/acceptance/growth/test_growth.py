"""A measurement of growth from end to end, with sizes that prove nothing but that it works."""

from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from benchmarks import growth


def test_growth_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--sizes",
        "30",
        "--counts",
        "1,4",
        "--axis",
        "lanes",
        "--tasks",
        "60",
        "--rounds",
        "5",
        "--runs",
        "1",
    ]
    code = growth.main([*words, "--results", str(tmp_path)])
    report = msgspec.json.decode((tmp_path / "growth-sqlite.json").read_bytes(), type=growth.Report)
    assert code == int(not all(curve.flat for curve in report.curves))
    assert [(point.axis, point.n) for point in report.points] == [("", 0), ("lanes", 4)]
    assert all(value > 0 for point in report.points for values in point.runs.values() for value in values)
    picture = ET.fromstring((tmp_path / "growth-sqlite.svg").read_text(encoding="utf-8"))  # noqa: S314  # our own
    assert len(picture.findall("{*}polyline")) == len(report.curves) == len(growth.ASPECTS)
    assert "lanes in use" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
