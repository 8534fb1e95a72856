import csv
from pathlib import Path

import pytest

from demo.collect import SKIPPED, first_prose, write


@pytest.mark.parametrize(
    "docstring, told",
    [
        ("Do it.", "Do it."),
        ("Do it\n    over two lines.\n\n    Then more.", "Do it over two lines."),
        ("chain(*iterables) --> chain object\n\nReturn a chain object.", "Return a chain object."),
        ("Point(x, y)", ""),
        ("NotEq", ""),
        ("", ""),
        ("Made <object at 0x7f00aa10> here.", "Made <object> here."),
    ],
)
def test_the_first_paragraph_of_prose_is_taken_on_one_line(docstring: str, told: str) -> None:
    assert first_prose(docstring) == told


def test_modules_that_act_when_imported_are_left_alone() -> None:
    assert {"antigravity", "this", "idlelib", "turtle", "turtledemo", "test"} <= SKIPPED


def test_the_file_appears_whole_and_replaces_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "made" / "functions.csv"
    write(path, [("old", "Old.")])
    write(path, [("a.b", 'Say "x", then y.'), ("a.c", "Ü")])
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["name", "text"], ["a.b", 'Say "x", then y.'], ["a.c", "Ü"]]
    assert [file.name for file in path.parent.iterdir()] == ["functions.csv"]
