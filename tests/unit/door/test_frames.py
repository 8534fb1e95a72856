import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaios.door.frames import MAX_FRAME_BYTES, BadFrame, Frames, Outbox, framed


@given(bodies=st.lists(st.binary(max_size=50), max_size=8), cuts=st.lists(st.integers(0, 400), max_size=8))
def test_frames_come_out_whole_however_the_stream_is_cut(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(framed(body) for body in bodies)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    frames = Frames()
    heard = []
    for start, end in pairwise(places):
        frames.feed(stream[start:end])
        while (body := frames.take()) is not None:
            heard.append(body)
    assert heard == bodies


def test_frames_may_be_taken_later_than_they_come() -> None:
    frames = Frames()
    frames.feed(framed(b"one") + framed(b"two"))
    assert frames.take() == b"one"
    frames.feed(framed(b"three"))
    assert [frames.take(), frames.take(), frames.take()] == [b"two", b"three", None]


def test_a_frame_above_the_limit_is_refused_by_its_announcement() -> None:
    frames = Frames(limit_bytes=10)
    frames.feed(framed(b"x" * 10))
    assert frames.take() == b"x" * 10
    frames.feed((11).to_bytes(4, "big"))
    with pytest.raises(BadFrame, match="a frame of 11 bytes, at most 10"):
        frames.take()


def test_what_nobody_would_take_is_not_sent() -> None:
    with pytest.raises(BadFrame, match=str(MAX_FRAME_BYTES)):
        framed(b"x" * (MAX_FRAME_BYTES + 1))


class Sink(asyncio.WriteTransport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return False


async def test_frames_of_one_turn_leave_together() -> None:
    sink = Sink()
    outbox = Outbox(sink)
    outbox.put(b"a")
    outbox.put(b"b")
    assert sink.written == []
    await asyncio.sleep(0)
    assert sink.written == [framed(b"a") + framed(b"b")]


async def test_senders_wait_while_the_other_side_does_not_read() -> None:
    outbox = Outbox(Sink())
    await outbox.room()
    outbox.pause()
    waiting = [asyncio.create_task(outbox.room()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    outbox.go_on()
    await asyncio.gather(*waiting)
