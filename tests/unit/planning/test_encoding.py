import json
from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.planning.chunking import MARK, cuts, refusal
from wsaios.planning.rows import Kind

ROWS = [{"id": str(number), "text": "é中😀 a"} for number in range(12)]
FILES: dict[Kind, bytes] = {
    "csv": "\r\n".join(["id,text", *[f"{row['id']},{row['text']}" for row in ROWS]]).encode(),
    "jsonl": "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode(),
    "json": json.dumps(ROWS, ensure_ascii=False, indent=1).encode(),
}
kinds = st.sampled_from(sorted(FILES))


@given(
    kinds,
    st.floats(0, 1),
    st.sampled_from([b"\xff", b"\x80", b"\xc0", b"\xe4", b"\xf0\x9f", b"\xed\xa0\x80"]),
    st.booleans(),
    cuts,
)
def test_a_wrong_byte_is_named_by_its_exact_place(
    kind: Kind, part: float, wrong: bytes, mark: bool, places: Sequence[float]
) -> None:
    whole = MARK * mark + FILES[kind]
    at = max(int(part * len(whole)), len(MARK) * mark)
    data = whole[:at] + wrong + whole[at:]
    assume(not data.startswith((b"\xff\xfe", b"\xfe\xff")))
    with pytest.raises(UnicodeDecodeError) as expected:
        data.decode()
    start = expected.value.start

    error = refusal(data, kind, places)

    line = len((data[:start] + b"x").splitlines())
    assert error.where == f"byte {start}, line {line}"
    assert f"0x{data[start]:02x} is not UTF-8" in error.reason


@given(kinds, cuts)
def test_a_file_that_ends_inside_a_character_is_named_by_its_byte(kind: Kind, places: Sequence[float]) -> None:
    data = FILES[kind] + b"\n\xf0\x9f"

    assert refusal(data, kind, places).where.startswith(f"byte {len(data) - 2}, line ")


@given(kinds, st.sampled_from(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]), cuts)
def test_wide_encodings_are_recognised(kind: Kind, encoding: str, places: Sequence[float]) -> None:
    error = refusal(FILES[kind].decode().encode(encoding), kind, places)

    assert str(error) == "input, byte 0: this is UTF-16 or UTF-32; save the file as UTF-8"


def test_a_file_in_latin_1_is_refused() -> None:
    error = refusal("id,text\n1,Grüße\n".encode("latin-1"), "csv")

    assert str(error).startswith("input, byte 12, line 2: 0xfc is not UTF-8 here")
