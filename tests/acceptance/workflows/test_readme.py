"""The workflow of the README runs on the docstrings of this Python, with the model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.docs.documents import ROOT, blocks
from tests.integration.weights import required_weights


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_workflow_of_the_readme_finds_what_says_nearly_the_same(readme: str, tmp_path: Path) -> None:
    required_weights()
    for block in blocks(ROOT / readme):
        if block.file.startswith("near."):
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    command = [sys.executable, "-m", "wsaios", "workflow", "run", "near.yaml", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=True)
    told = json.loads(done.stdout)
    assert told["run"]["state"] == "succeeded"
    assert len(told["result"]) == 3
    assert all(" ~ " in line and line >= "0.80" for line in told["result"])
