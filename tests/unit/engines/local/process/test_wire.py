"""Frames between a lane and its workers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wsaios.engines.local.process.wire import End, Event, Frames, Job, Over, Row, framed, read_answer, read_jobs


@given(values=st.lists(st.binary(max_size=300), max_size=10), cuts=st.lists(st.integers(1, 50), max_size=40))
def test_frames_come_out_whole_however_they_are_cut(values: list[bytes], cuts: list[int]) -> None:
    data, frames, found = b"".join(map(framed, values)), Frames(), []
    for size in [*cuts, len(data)]:
        part, data = data[:size], data[size:]
        found += list(frames.feed(part))
    assert found == [framed(value)[4:] for value in values]


def test_jobs_and_answers_come_back_as_they_were() -> None:
    job = Job(7, 1, [Row(1, 2, 3, 0, b"{}", "t", 4, b"1", "trace")], 2.5, at_most_once=True)
    (frame,) = Frames().feed(framed([job]))
    assert read_jobs(frame) == [job]
    over = Over(7, 12, tired=False, ends=[End(1, 2, 0, b"null")])
    (frame,) = Frames().feed(framed(over))
    assert read_answer(frame) == over


def test_what_msgpack_has_no_form_for_goes_as_its_repr() -> None:
    (frame,) = Frames().feed(framed(Event("info", {"thing": 1 + 2j})))
    assert read_answer(frame) == Event("info", {"thing": "(1+2j)"})
