from pathlib import Path

import pytest

from tests.acceptance.crash.__main__ import main

pytestmark = pytest.mark.timeout(120)


def test_rounds_without_a_problem_end_with_a_table_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--rounds", "2", "--seed", "3", "--folder", str(tmp_path)]) == 0

    said = capsys.readouterr().out
    figures = {line[:-11].strip(): line.split()[-1] for line in said.splitlines() if line[-1:].isdigit()}
    assert {name: figures[name] for name in ("rounds", "lost", "twice")} == {"rounds": "2", "lost": "0", "twice": "0"}
    assert int(figures["acknowledged tasks"]) > 100
    assert list(tmp_path.iterdir()) == []


def test_a_problem_ends_with_status_1_its_seed_and_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["--rounds", "1", "--first", "4", "--seed", "3", "--folder", str(tmp_path), "--sabotage", "no-fence"]) == 1
    )

    said = capsys.readouterr().out
    assert "round 4 went wrong" in said
    assert "  fence: " in said
    assert "python -m tests.acceptance.crash --seed 3 --first 4 --rounds 1" in said
    (kept,) = tmp_path.glob("*/3.4")
    assert str(kept) in said
    assert {"work.db", "journal", "trace"} <= {path.name for path in kept.iterdir()}
