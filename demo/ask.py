"""Answer questions with the functions whose docstrings are nearest in meaning.

Usage: ask.py FUNCTIONS.csv EMBEDDINGS.jsonl [QUESTION ...]
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from wsaios.inference.models import resolve

MODEL = "all-MiniLM-L6-v2"
QUESTIONS = ("compress a file", "parse a date", "run code in another process")
N_ANSWERS = 5


@dataclass(frozen=True, slots=True)
class Index:
    """What was embedded: names and texts by row, vectors (n_rows, dim) of length 1."""

    names: list[str]
    texts: list[str]
    vectors: NDArray[np.float32]

    def nearest(self, vector: NDArray[np.float32], n_answers: int) -> list[tuple[float, str, str]]:
        """List (similarity from −1 to 1, name, text), the nearest first; of equal ones the earlier row first."""
        similarities = self.vectors @ vector
        best = np.argsort(-similarities, kind="stable")[:n_answers]
        return [(float(similarities[row]), self.names[row], self.texts[row]) for row in best]


def load(functions: Path, embeddings: Path) -> Index:
    """Read what the batch wrote, beside the texts that it was made from; rows that failed are left out."""
    with functions.open(encoding="utf-8", newline="") as file:
        texts = {row["name"]: row["text"] for row in csv.DictReader(file)}
    with embeddings.open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    names = [line["id"] for line in lines]
    vectors = np.array([line["result"] for line in lines], np.float32)
    return Index(names, [texts[name] for name in names], vectors)


def answer(index: Index, questions: list[str]) -> list[Table]:
    """Make one table for each question."""
    rows: list[dict[str, object]] = [{"text": question} for question in questions]
    vectors = np.array(resolve(MODEL).function(rows), np.float32)
    tables = []
    for question, vector in zip(questions, vectors, strict=True):
        table = Table(title=f"“{question}”", title_justify="left", title_style="bold", box=None, expand=True)
        table.add_column("near", justify="right", style="dim")
        table.add_column("function", style="cyan", no_wrap=True)
        table.add_column("what it says", no_wrap=True, overflow="ellipsis", ratio=1)
        for similarity, name, text in index.nearest(vector, N_ANSWERS):
            table.add_row(f"{similarity:.2f}", name, text)
        tables.append(table)
    return tables


def main(functions: str, embeddings: str, *questions: str) -> None:
    """Print the answers."""
    console = Console()
    for table in answer(load(Path(functions), Path(embeddings)), list(questions or QUESTIONS)):
        console.print()
        console.print(table)


if __name__ == "__main__":
    main(*sys.argv[1:])
