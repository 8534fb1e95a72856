"""One client's connection at the owner's side: bounded, checked, and unable to harm another one."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

import msgspec

from wsaios.door.desk import Desk
from wsaios.door.faults import Fault, fault_of
from wsaios.door.frames import MAX_FRAME_BYTES, BadFrame, Frames, Outbox
from wsaios.door.questions import Ask, Call, Closing, Done, Drop, Failed, FromClient, Hello, Refused, Welcome
from wsaios.kernel.errors import InvalidInput, NotRunning, WsaiosError
from wsaios.scheduler.loop import Log

_HELLO_BYTES: Final = 65_536


class Rules(msgspec.Struct, frozen=True):
    """How much the door takes: connections, and for each of them requests and waits at once.

    `hello_s` is how soon a client must say who it is, `stalled_s` for how long it may leave its answers unread.
    """

    connections: int = 512
    requests: int = 4096
    waits: int = 10_000
    hello_s: float = 10.0
    stalled_s: float = 30.0
    frame_bytes: int = MAX_FRAME_BYTES


class Host(msgspec.Struct):
    """What every session of a door needs: a new desk, who may come in, and the others that are in."""

    desk: Callable[[], Desk]
    admit: Callable[[Hello], Welcome]
    rules: Rules
    log: Log
    sessions: "set[Session]" = msgspec.field(default_factory=set)


class Session(asyncio.Protocol):
    """Answers each call by itself; reads no more while too many are unanswered or answers stay unread."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._rules = host.rules
        self._desk = host.desk()
        self._frames = Frames(_HELLO_BYTES)
        self._open: dict[int, asyncio.Future[Any]] = {}
        self._unanswered: dict[int, bool] = {}
        self._waits = 0
        self._reading = True
        self._timer: asyncio.TimerHandle | None = None
        self._decoder = msgspec.msgpack.Decoder(FromClient)
        self._hellos = msgspec.msgpack.Decoder(Hello)
        self._encode = msgspec.msgpack.Encoder().encode
        self.name = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, or say that there is no room."""
        self._transport = cast("asyncio.Transport", transport)
        self._out = Outbox(self._transport)
        self._loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        sessions = self._host.sessions
        sessions.add(self)
        if len(sessions) > self._rules.connections:
            reason = f"{self._rules.connections} clients are connected, the most that are let in; try again later"
            self.end(reason)
        else:
            self._after(self._rules.hello_s, "no hello came")

    def data_received(self, data: bytes) -> None:
        """Take in what came."""
        self._frames.feed(data)
        self._take()

    def pause_writing(self) -> None:
        """The client does not read: nothing more is taken from it, and after a while it is let go."""
        self._out.pause()
        self._after(self._rules.stalled_s, "")

    def resume_writing(self) -> None:
        """The client reads again."""
        self._stop_timer()
        self._out.go_on()
        self._take()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # whatever ended it
        """Forget the client: its waits end, its open batches are taken back, what it submitted stays."""
        self._host.sessions.discard(self)
        self._stop_timer()
        self._out.go_on()
        self._desk.close()
        for task in self._open.values():
            task.cancel()
        self._gone.set_result(None)

    def end(self, reason: str) -> None:
        """Say why, and close."""
        if not self._transport.is_closing():
            self.hush()
            self._out.put(self._encode(Closing(reason)))
            self._out.flush()
            self._transport.close()

    def hush(self) -> None:
        """Take no more calls; those taken are still answered."""
        self._rules = msgspec.structs.replace(self._rules, requests=0)
        self._flow()

    async def leave(self, reason: str, within_s: float) -> None:
        """Answer what was taken, end the connection and return when it is gone; what takes longer is cut off."""
        if self._open:
            await asyncio.wait(self._open.values(), timeout=within_s)
        self.end(reason)
        await asyncio.wait((self._gone,), timeout=within_s)
        self._transport.abort()
        await self._gone

    def _take(self) -> None:
        try:
            while not self._full() and (body := self._frames.take()) is not None:
                self._hear(body)
        except Exception as error:  # noqa: BLE001  # whatever came, this connection ends and the others do not notice
            self.end(f"what came cannot be understood: {error}")
        self._flow()

    def _full(self) -> bool:
        quick = len(self._unanswered) - self._waits
        return quick >= self._rules.requests or self._out.paused or self._transport.is_closing()

    def _flow(self) -> None:
        """Read from the socket exactly while there is room for calls."""
        full = self._full()
        if full == self._reading and not self._transport.is_closing():
            self._reading = not full
            (self._transport.resume_reading if self._reading else self._transport.pause_reading)()

    def _hear(self, body: bytes) -> None:
        if not self.name:
            self._greet(self._hellos.decode(body))
            return
        call = self._decoder.decode(body)
        if isinstance(call, Drop):
            if self._settle(call.id):
                self._open[call.id].cancel()
            return
        if call.id in self._open:
            raise BadFrame(f"call {call.id} is not answered yet")
        waits = call.ask.waits
        if waits and self._waits >= self._rules.waits:
            error = InvalidInput("connection", f"{self._rules.waits} waits at once are the most")
            self._out.put(self._encode(Failed(call.id, fault_of(error))))
            return
        self._unanswered[call.id] = waits
        self._waits += waits
        try:
            quick = self._desk.quick(cast("Ask[object]", call.ask))
        except Exception as error:  # noqa: BLE001  # as in `_serve`
            self._settle(call.id)
            self._out.put(self._encode(Failed(call.id, self._fault(call, error))))
            return
        if quick is None:
            self._begin(call, self._serve(call))
            return
        future, answer = quick
        self._open[call.id] = future
        future.add_done_callback(lambda done: self._told(call, done, answer))

    def _greet(self, hello: Hello) -> None:
        self._stop_timer()
        try:
            welcome: Welcome | Refused = self._host.admit(hello)
        except WsaiosError as error:
            welcome = Refused(fault_of(error))
        self._out.put(self._encode(welcome))
        if isinstance(welcome, Refused):
            self._out.flush()
            self._transport.close()
            return
        self.name = hello.session
        self._frames.limit_bytes = self._rules.frame_bytes
        # A client whose connection broke comes back on a new one: what is still under way in the old one must not come.
        for other in list(self._host.sessions):
            if other is not self and other.name == self.name:
                other.end("its client has a new connection")

    def _begin(self, call: Call, work: Coroutine[Any, Any, None]) -> None:
        self._open[call.id] = task = self._loop.create_task(work)
        task.add_done_callback(lambda task: self._done(call, task))

    def _told(self, call: Call, future: "asyncio.Future[Any]", answer: Callable[[Any], Any]) -> None:
        """The quick way has come to its end, which may be that another one must be gone."""
        if future.cancelled() or call.id not in self._unanswered or self._gone.done():
            self._done(call, future)
            return
        try:
            value = answer(future.result())
            body = None if value is None else self._answer(call.id, value)
        except Exception as error:  # noqa: BLE001  # as in `_serve`
            body = self._encode(Failed(call.id, self._fault(call, error)))
        if body is None:
            self._begin(call, self._serve(call))
        elif self._out.paused:
            self._begin(call, self._hand_out(call.id, body))
        else:
            if self._settle(call.id):
                self._out.put(body)
            self._done(call, future)

    async def _serve(self, call: Call) -> None:
        try:
            body = self._answer(call.id, await self._desk.ask(cast("Ask[object]", call.ask)))
        except Exception as error:  # noqa: BLE001  # whatever it is, this client is told and the others do not notice
            body = self._encode(Failed(call.id, self._fault(call, error)))
        await self._hand_out(call.id, body)

    async def _hand_out(self, number: int, body: bytes) -> None:
        await self._out.room()
        # Settled before it leaves: the client may ask anew as soon as it has the answer.
        if self._settle(number):
            self._out.put(body)

    def _answer(self, number: int, value: object) -> bytes:
        # The other side reads it as bytes that stand for a value; here it is written in one go.
        body = self._encode(Done(number, cast("msgspec.Raw", value)))
        if len(body) > MAX_FRAME_BYTES:
            raise InvalidInput("answer", f"it has {len(body)} bytes, a message may have {MAX_FRAME_BYTES}")
        return body

    def _fault(self, call: Call, error: Exception) -> Fault:
        if not isinstance(error, WsaiosError):
            asked = type(call.ask).__name__
            self._host.log.error("a client's question failed", asked=asked, reason=f"{type(error).__name__}: {error}")
        return fault_of(error)

    def _done(self, call: Call, task: "asyncio.Future[Any]") -> None:
        del self._open[call.id]
        if self._settle(call.id) and task.cancelled() and not self._transport.is_closing():
            self._out.put(self._encode(Failed(call.id, fault_of(NotRunning("what would have answered")))))
        if not self._reading:
            self._take()

    def _settle(self, number: int) -> bool:
        """Whether the call was unanswered; from now on it is not."""
        waits = self._unanswered.pop(number, None)
        self._waits -= bool(waits)
        return waits is not None

    def _after(self, delay_s: float, reason: str) -> None:
        self._stop_timer()
        self._timer = self._loop.call_later(delay_s, (lambda: self.end(reason)) if reason else self._transport.abort)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
