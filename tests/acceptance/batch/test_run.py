"""What a run leaves: results in input order, failed rows beside them, and an answer at once when all is done."""

import json

import pytest

from tests.acceptance.batch.folder import Folder

ROWS = [{"name": f"n{row}", "text": f"text {row}"} for row in range(1, 6)]
FILES = {
    "in.csv": "name,text\n" + "".join(f"{row['name']},{row['text']}\n" for row in ROWS),
    "in.json": json.dumps(ROWS),
    "in.jsonl": "\n".join(json.dumps(row) for row in ROWS),
    "in.ndjson": "\ufeff" + "\n".join(json.dumps(row) for row in ROWS) + "\n",
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_row_has_one_line_in_input_order(folder: Folder, name: str) -> None:
    folder.write(name, FILES[name])
    done = folder.batch(name, "work:shout")
    assert (done.status, folder.names()) == (0, {"work.py", name, "r.jsonl", "wsaios.db", "wsaios.db.lock"})
    assert folder.read("r.jsonl").decode() == "".join(f'{{"id":{row},"result":"TEXT {row}"}}\n' for row in range(1, 6))
    assert str(folder.path / "r.jsonl") in done.out
    assert "5 succeeded" in done.out


@pytest.mark.parametrize("handler", ["work:shout", "work:ashout"])
def test_functions_and_coroutines_run_with_the_ids_of_a_column(folder: Folder, handler: str) -> None:
    folder.texts("in.csv", 50)
    assert folder.batch("in.csv", handler, "--id", "name").status == 0
    mark = "!" if handler == "work:ashout" else ""
    assert folder.lines("r.jsonl") == [{"id": f"n{row}", "result": f"TEXT {row}{mark}"} for row in range(1, 51)]


def test_without_a_mapping_columns_are_arguments_and_the_id_is_left_out(folder: Folder) -> None:
    folder.write("in.csv", "key,left,right\na,1,2\nb,3,4\n")
    done = folder.run("batch", "run", "in.csv", "--handler", "work:both", "--id", "key", "--out", "r.jsonl")
    assert done.status == 0
    assert folder.lines("r.jsonl") == [{"id": "a", "result": "12"}, {"id": "b", "result": "34"}]


def test_a_batched_handler_gets_rows_in_lists(folder: Folder) -> None:
    folder.texts("in.csv", 20)
    assert folder.batch("in.csv", "work:measure", "--batch-size", "8").status == 0
    assert folder.lines("r.jsonl")[6] == {"id": 7, "result": {"rows": 1, "of": "text 7"}}


def test_a_limit_takes_the_first_rows(folder: Folder) -> None:
    folder.texts("in.csv", 9)
    assert folder.batch("in.csv", "work:shout", "--limit", "4").status == 0
    assert [line["id"] for line in folder.lines("r.jsonl")] == [1, 2, 3, 4]


def test_failed_rows_stand_in_a_file_of_their_own(folder: Folder) -> None:
    folder.texts("in.csv", 14)
    done = folder.batch("in.csv", "work:picky", "--id", "name", "--max-attempts", "1")
    assert done.status == 1
    assert [line["id"] for line in folder.lines("r.jsonl")] == [f"n{row}" for row in range(1, 15) if row not in {3, 13}]
    assert folder.lines("r.errors.jsonl") == [
        {"id": f"n{row}", "row": row, "type": "ValueError", "message": f"no threes: text {row}"} for row in (3, 13)
    ]
    assert str(folder.path / "r.errors.jsonl") in done.out


def test_a_row_is_tried_three_times_unless_said_otherwise(folder: Folder) -> None:
    folder.write("in.csv", "name,text\na,3\n")
    folder.write("counting.py", 'def handler(text):\n    open("calls", "a").write("x")\n    raise ValueError\n')
    assert folder.batch("in.csv", "counting:handler").status == 1
    assert folder.read("calls") == b"xxx"


def test_a_finished_batch_answers_without_running_and_puts_lost_files_back(folder: Folder) -> None:
    folder.texts("in.csv", 9)
    first = folder.batch("in.csv", "work:picky", "--max-attempts", "1")
    results, errors = folder.read("r.jsonl"), folder.read("r.errors.jsonl")
    folder.write("work.py", "def picky(text):\n    raise SystemExit('called again')\n")
    before = (folder.path / "r.jsonl").stat().st_ino

    again = folder.batch("in.csv", "work:picky", "--max-attempts", "1")
    assert (again.status, "finished before" in again.out) == (first.status, True)
    assert (folder.path / "r.jsonl").stat().st_ino == before

    (folder.path / "r.jsonl").unlink()
    folder.write("r.errors.jsonl", "cut off")
    assert folder.batch("in.csv", "work:picky", "--max-attempts", "1").status == first.status
    assert (folder.read("r.jsonl"), folder.read("r.errors.jsonl")) == (results, errors)


def test_errors_of_an_earlier_run_go_when_a_fresh_one_has_none(folder: Folder) -> None:
    folder.texts("in.csv", 5)
    assert folder.batch("in.csv", "work:picky", "--max-attempts", "1").status == 1
    folder.write("work.py", "def picky(text):\n    return text\n")
    done = folder.batch("in.csv", "work:picky", "--max-attempts", "1", "--fresh")
    assert (done.status, "r.errors.jsonl" in folder.names()) == (0, False)
    assert len(folder.lines("r.jsonl")) == 5


def test_only_its_own_batch_runs_whatever_else_the_ledger_holds(folder: Folder) -> None:
    folder.texts("a.csv", 40)
    folder.texts("b.csv", 30)
    assert folder.batch("a.csv", "work:slow", out="a.jsonl", WSAIOS_FAILPOINT="driver.before_dispatch@1").status == -9
    assert folder.batch("b.csv", "work:slow", out="b.jsonl").status == 0
    assert len(folder.ended()) == 30
    assert folder.batch("a.csv", "work:slow", out="a.jsonl").status == 0
    assert len(folder.lines("a.jsonl")) == 40
