"""Files as inputs: read as often as needed, and proven to be the same."""

import hashlib
import os
from pathlib import Path

import pytest

from wsaios.kernel.errors import InputError
from wsaios.sdk.input_file import CHUNK_BYTES, InputFile


def test_chunks_are_the_bytes_and_say_how_far_they_are(tmp_path: Path) -> None:
    data = os.urandom(CHUNK_BYTES * 2 + 5)
    (tmp_path / "in.csv").write_bytes(data)
    file, seen = InputFile(str(tmp_path / "in.csv")), list[int]()
    assert b"".join(file.chunks(seen.append)) == data
    assert b"".join(file.chunks()) == data
    assert (file.size_bytes, seen) == (len(data), [CHUNK_BYTES, CHUNK_BYTES * 2, len(data)])


def test_what_is_no_file_is_refused_by_the_name_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "ring.csv").symlink_to("ring.csv")
    for name, reason in {
        "none.csv": "no such file",
        "folder.csv": "a folder",
        "pipe.csv": "no regular file",
        "ring.csv": "symbolic links",
        "bad\0.csv": "null byte",
    }.items():
        with pytest.raises(InputError, match=reason) as refused:
            InputFile(name)
        assert refused.value.source == name


def test_a_file_that_goes_away_is_told(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("a")
    file = InputFile(str(path))
    path.unlink()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        list(file.chunks())


def test_a_file_is_proven_to_be_what_it_was_also_behind_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"x" * (CHUNK_BYTES + 1))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    file = InputFile(str(path))
    first = file.unchanged(digest)
    assert next(iter(first)) == b"x" * CHUNK_BYTES
    first.prove()
    path.write_bytes(b"x" * CHUNK_BYTES + b"y")
    second = file.unchanged(digest)
    assert next(iter(second)) == b"x" * CHUNK_BYTES
    with pytest.raises(InputError, match="changed while the batch ran"):
        second.prove()
