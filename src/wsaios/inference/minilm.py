"""The sentence-embedding model all-MiniLM-L6-v2 on NumPy.

Source: Wang et al., "MiniLM", arXiv 2002.10957; trained for sentences by the sentence-transformers project.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from safetensors.numpy import load_file
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # it ships no types
from tokenizers import Tokenizer

from wsaios.inference.encoder import BertEncoder, Floats, Ids, Shape
from wsaios.kernel.errors import InvalidInput

MAX_TOKENS: Final = 256  # what it was trained with: max_seq_length in its sentence_bert_config.json
DECIMALS: Final = 6
_ROWS_A_SHARE: Final = 4


class MiniLm:
    """Texts in, vectors out; reads its weights (90 MB) from `folder` at the first call.

    A text has the same vector, bit for bit, in whatever batch, place and number of threads it is computed, as long as
    processor and libraries stay the same. Threads that call it take turns; the one whose turn it is has all cores.

    max_tokens: what a longer text is cut to, 3 to 512, the marks of beginning and end included.
    """

    def __init__(self, folder: Path, max_tokens: int = MAX_TOKENS) -> None:
        self._folder = folder
        self._max_tokens = max_tokens
        self._turn = threading.Lock()

    def __call__(self, rows: list[dict[str, object]]) -> list[list[float]]:
        """Embed the `text` of every row: 384 numbers of 6 decimals for each, in order.

        Raises:
            InvalidInput: a row has no `text`, or one that is no string.
        """
        vectors = np.round(self.embed([_text(row) for row in rows]).astype(np.float64), DECIMALS)
        vectors += 0.0  # −0.0 becomes 0.0
        numbers: list[list[float]] = vectors.tolist()
        return numbers

    def embed(self, texts: Sequence[str]) -> Floats:
        """Embed texts; returns (n_texts, 384), every row of length 1. The empty text has a vector too."""
        ids = [self.token_ids(text) for text in texts]
        longest_first = sorted(range(len(ids)), key=lambda row: len(ids[row]), reverse=True)
        shares = [longest_first[at : at + _ROWS_A_SHARE] for at in range(0, len(ids), _ROWS_A_SHARE)]
        with self._turn:
            vectors = np.empty((len(ids), self._encoder.dim), np.float32)

            def fill(share: list[int]) -> None:
                vectors[share] = self._encoder.embed([ids[row] for row in share])

            # The products of one row are too small to be split over cores: several rows at once take half the time.
            with self._blas.limit(limits=1, user_api="blas"), ThreadPoolExecutor(_n_cores()) as pool:
                list(pool.map(fill, shares))
        return vectors

    def token_ids(self, text: str) -> Ids:
        """Return what the model sees of a text, (n_tokens,), 2 ≤ n_tokens ≤ max_tokens."""
        return np.array(self._tokenizer.encode(text).ids, np.int64)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        # The file itself asks to cut at 128 tokens and to fill every text up to 128.
        tokenizer.no_padding()
        tokenizer.enable_truncation(self._max_tokens)
        return tokenizer

    @cached_property
    def _encoder(self) -> BertEncoder:
        shape = msgspec.json.decode((self._folder / "config.json").read_bytes(), type=Shape)
        return BertEncoder(load_file(self._folder / "model.safetensors"), shape)

    @cached_property
    def _blas(self) -> ThreadpoolController:
        return ThreadpoolController()


def _text(row: dict[str, object]) -> str:
    text = row.get("text")
    if isinstance(text, str):
        return text
    found = f"is {type(text).__name__}, not a string" if "text" in row else "is missing"
    raise InvalidInput("text", f"{found}; --map text=COLUMN names the column that holds the texts")


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
