"""Worker processes when their scheduler is told to stop, or killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.acceptance.shutdown import short_program
from tests.acceptance.shutdown.running import ROOT, left_in_order, release, started, tasks
from tests.acceptance.shutdown.test_orphans import gone
from wsaios import Client
from wsaios.kernel.states import State

PROGRAM = ROOT / "tests/acceptance/shutdown/process_program.py"
AS_FILE = (sys.executable, str(PROGRAM))
AS_MODULE = (sys.executable, "-m", "tests.acceptance.shutdown.process_program")


@pytest.mark.parametrize("name, members", [("idle", 2), ("wait", 2), ("seize", 2), ("bear", 3)])
def test_a_killed_scheduler_leaves_no_worker_behind(tmp_path: Path, name: str, members: int) -> None:
    with started([*AS_FILE, str(tmp_path), name], tmp_path, ROOT) as serving:
        serving.serving()
        assert len(serving.family()) == members
        serving.tell(signal.SIGKILL)
        serving.process.wait()

        assert gone(serving) == set()


def test_a_killed_scheduler_loses_no_call_that_waited_beyond_the_slots(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.acceptance.shutdown.short_program", str(tmp_path)]
    with started(command, tmp_path, ROOT) as serving:
        assert serving.process.wait(short_program.LIMIT_S) == -signal.SIGKILL
        assert gone(serving) == set()
    before = len((tmp_path / "begun").read_text("ascii").split())

    asyncio.run(short_program.the_rest(tmp_path))
    begun = Counter((tmp_path / "begun").read_text("ascii").split())
    assert before < begun.total(), "nothing was left to do"
    ended = {call: state for call, (state, _) in tasks(tmp_path).items()}
    once = {str(call) for call in range(short_program.ROWS) if short_program.delivery(call) == "at_most_once"}
    lost = {call for call, state in ended.items() if state == State.LOST}
    assert len(ended) == short_program.ROWS + 1
    assert {ended[call] for call in ended.keys() - lost} == {State.SUCCEEDED}
    assert lost <= once
    assert len(lost) <= short_program.SLOTS
    assert {begun[call] for call in once - lost} == {1}


@pytest.mark.parametrize("command", [AS_FILE, AS_MODULE])
def test_control_c_for_all_of_them_lets_workers_end_what_they_do(tmp_path: Path, command: tuple[str, ...]) -> None:
    with started([*command, str(tmp_path), "wait", "wait"], tmp_path, ROOT) as serving:
        serving.serving()
        family = serving.family()
        assert len(family) == 3
        for pid in family:
            os.kill(pid, signal.SIGINT)
        release(tmp_path)

        assert serving.end() == "stopped\n"
        assert gone(serving) == set()
    assert left_in_order(tmp_path)
    with Client(f"sqlite:///{tmp_path}/work.db") as client:
        assert {view.state for view in client.tasks()} == {"succeeded"}


def test_a_program_without_a_guard_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text(
        "import asyncio\n"
        "from wsaios import Scheduler, errors\n"
        "def work():\n"
        "    return 1\n"
        "async def main():\n"
        "    async with Scheduler('sqlite:///bare.db') as scheduler:\n"
        "        scheduler.add_handler('work', work, lane='process', max_attempts=1)\n"
        "        task = await scheduler.submit('work')\n"
        "        try:\n"
        "            await task.result(timeout_s=60)\n"
        "        except errors.TaskFailed as error:\n"
        "            print(error)\n"
        "asyncio.run(main())\n",
        "utf-8",
    )
    done = subprocess.run(
        [sys.executable, "bare.py"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=100
    )
    assert "could not import" in done.stdout
    assert '`if __name__ == "__main__":`' in done.stdout


def test_a_function_that_was_typed_in_is_refused(tmp_path: Path) -> None:
    code = (
        "from wsaios import Scheduler\n"
        "def work(): pass\n"
        "Scheduler('sqlite:///typed.db').add_handler('work', work, lane='process')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert "was typed in and stands in no file" in done.stderr


def test_a_batch_from_the_command_line_runs_in_processes(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("i\n" + "".join(f"{i}\n" for i in range(200)), "utf-8")
    (tmp_path / "work.py").write_text(
        "import os\ndef square(i):\n    print('seen', i)\n    return {'value': int(i) ** 2, 'pid': os.getpid()}\n",
        "utf-8",
    )
    command = [sys.executable, "-m", "wsaios", "batch", "run", "rows.csv", "--handler", "work:square"]
    command += ["--lane", "process", "--out", "out.jsonl", "--ledger", "sqlite:///work.db", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        out, err = running.communicate(timeout=100)
    assert running.returncode == 0, err
    assert json.loads(out)["succeeded"] == 200
    assert "seen 199\n" in err
    lines = [json.loads(line)["result"] for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [line["value"] for line in lines] == [i**2 for i in range(200)]
    assert running.pid not in {line["pid"] for line in lines}


def test_names_of_files_need_not_be_text(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    folder = tmp_path / odd
    folder.mkdir()
    (folder / "odd.py").write_text(
        "import asyncio, pathlib, sys\n"
        "from wsaios import Scheduler\n"
        "def work():\n"
        "    return [ascii(each) for each in sys.argv[1:]]\n"
        "async def main():\n"
        "    sys.path.append(pathlib.Path('elsewhere'))\n"
        "    sys.argv.append(pathlib.Path('more'))\n"
        "    async with Scheduler('sqlite:///odd.db') as scheduler:\n"
        "        scheduler.add_handler('work', work, lane='process', max_attempts=1)\n"
        "        print(await (await scheduler.submit('work')).result(timeout_s=60))\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n",
        "utf-8",
    )
    done = subprocess.run(
        [sys.executable, str(folder / "odd.py"), odd, "plain"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert done.stdout == f"{[ascii(odd), ascii('plain'), ascii('more')]}\n"
