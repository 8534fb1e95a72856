import json
from pathlib import Path

import numpy as np
import pytest

from demo.ask import Index, load


def test_the_nearest_come_first_and_of_equal_ones_the_earlier() -> None:
    vectors = np.array([[0, 1], [1, 0], [0.6, 0.8], [1, 0]], np.float32)
    index = Index(["a", "b", "c", "d"], ["A.", "B.", "C.", "D."], vectors)
    nearest = index.nearest(np.array([1, 0], np.float32), 3)
    assert [(name, text) for _, name, text in nearest] == [("b", "B."), ("d", "D."), ("c", "C.")]
    assert [similarity for similarity, _, _ in nearest] == pytest.approx([1, 1, 0.6])


def test_rows_without_a_result_are_left_out(tmp_path: Path) -> None:
    functions, embeddings = tmp_path / "functions.csv", tmp_path / "embeddings.jsonl"
    functions.write_text("name,text\na,A.\nb,B.\nc,C.\n", encoding="utf-8")
    lines = [{"id": "a", "result": [1, 0]}, {"id": "c", "result": [0, 1]}]
    embeddings.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    index = load(functions, embeddings)
    assert (index.names, index.texts, index.vectors.shape) == (["a", "c"], ["A.", "C."], (2, 2))
