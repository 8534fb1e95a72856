"""Frames between a lane and its workers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wsaios.engines.local.process.wire import (
    End,
    Event,
    Frames,
    Introduction,
    Job,
    Over,
    Place,
    Row,
    crosses,
    framed,
    read_answer,
    read_jobs,
)


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


def test_what_no_frame_can_carry_is_known() -> None:
    assert all(map(crosses, (None, 1, 2**64 - 1, "text", [{"a": (1, object())}], {(1, 2): b"x"})))
    endless: list[object] = []
    endless.append(endless)
    assert not any(map(crosses, (2**64, "\udce9", [{"\udce9": 1}], endless)))


def test_the_path_of_a_program_need_not_be_text() -> None:
    place = Place("__mp_main__", "work", b"/caf\xe9/odd.py")
    (frame,) = Frames().feed(framed([Job(1, 1, [], introduces=Introduction(1, "work", place, False, None))]))
    (job,) = read_jobs(frame)
    assert job.introduces is not None
    assert job.introduces.place == place
    assert place.what == "the program /caf\\udce9/odd.py"
