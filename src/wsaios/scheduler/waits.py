"""Steps that wait for an event: who waits for which, until when, and what becomes of an event that comes."""

from collections.abc import Iterable
from functools import partial
from heapq import heappop, heappush
from typing import Any, Final

import msgspec

from wsaios.kernel.errors import ExpressionFailed, InvalidExpression, InvalidInput, MissingExtra, NotPossible
from wsaios.kernel.events import Signal
from wsaios.kernel.ids import encode
from wsaios.kernel.ledger import Answer, ResultsOf
from wsaios.kernel.run import StepState
from wsaios.kernel.task import Failure
from wsaios.kernel.trigger import Emitted
from wsaios.scheduler.book import Book
from wsaios.scheduler.course import Course
from wsaios.scheduler.steps import Refused, Steps, Told

_AT_ONCE: Final = 1000
Place = tuple[int, int]
"""A run, and the number of a step."""


class Waits:
    """Tells events to the steps that wait for them."""

    def __init__(self, book: Book, steps: Steps, courses: dict[int, Course]) -> None:
        self._book = book
        self._steps = steps
        self._courses = courses
        self._by_event: dict[str, dict[Place, int]] = {}
        self._until: list[tuple[int, int, int]] = []

    def add(self, course: Course, number: int, since_us: int | None = None) -> None:
        """A step waits from now on, or since then."""
        wait_for = course.plan.steps[number].wait_for
        assert wait_for is not None  # such steps alone come here
        place = (course.run.id, number)
        since_us = self._book.now_us if since_us is None else since_us
        self._by_event.setdefault(wait_for.event, {})[place] = since_us
        if wait_for.timeout_s is not None:
            heappush(self._until, (since_us + int(wait_for.timeout_s * 1e6), *place))

    def next_us(self) -> int | None:
        """When somebody has waited long enough."""
        while self._until and self._waiting(self._until[0][1:]) is None:
            heappop(self._until)
        return self._until[0][0] if self._until else None

    def run(self, held_us: int | None = None) -> None:
        """End what has waited long enough; not what may be told an event that came then and is not told yet."""
        until_us = self._book.now_us if held_us is None else min(held_us, self._book.now_us)
        for _ in range(_AT_ONCE):
            due = self.next_us()
            if due is None or due > until_us:
                return
            _, run, number = heappop(self._until)
            course = self._courses[run]
            wait_for = course.plan.steps[number].wait_for
            assert wait_for is not None  # it waits
            self._leave(course, number)
            why = f"no event {wait_for.event!r} came within {wait_for.timeout_s:g} s"
            self._steps.put(course, number, StepState.FAILED, failure=Failure("TimedOut", why))
            self._steps.over(course, number, StepState.FAILED, why)

    def signal(self, event: Signal, told: Told = None) -> None:
        """Tell an event to those who wait for it; what their filters read may have to be asked for first."""
        book = self._book
        places = self._meant(event)
        if places is None:
            return
        try:
            takes, missing = self._chosen(places, msgspec.json.decode(event.data), told, strict=bool(event.run))
        except (Refused, ExpressionFailed) as error:
            book.reply(event.token, error=InvalidInput("event", f"its filter fails: {error}"))
            return
        if missing:
            book.ask(ResultsOf(tuple(sorted(set(missing)))), partial(self._again, event, missing, told))
            return
        for run, number in takes:
            self._tell(self._courses[run], number, event.data)
        if event.run and not takes:
            name = encode(event.run, "run")
            book.reply(event.token, error=NotPossible("signal", name, "waiting", "the filter of the step refuses it"))
        else:
            book.reply(event.token, len(takes))

    def takers(self, event: Emitted, told: Told) -> tuple[list[Place], list[int]]:
        """The steps that take an event: of those that waited for it when it was emitted, whose filter takes it.

        And the tasks whose results must be asked for before that is known.
        """
        waiting = self._by_event.get(event.name, {})
        places = [place for place, since_us in waiting.items() if since_us <= event.at_us and self._waiting(place)]
        return self._chosen(places, event.data, told, strict=False)

    def tell(self, places: Iterable[Place], data: str) -> None:
        """Tell an event to these steps, as far as they still wait."""
        for place in places:
            course = self._waiting(place)
            if course is not None:
                self._tell(course, place[1], data)

    def _chosen(self, places: Iterable[Place], data: Any, told: Told, *, strict: bool) -> tuple[list[Place], list[int]]:
        """Those whose filter takes an event, and the tasks whose results must be asked for first.

        Raises:
            Refused, ExpressionFailed: with `strict`, a filter has no value; otherwise it takes nothing.
        """
        takes: list[Place] = []
        missing: list[int] = []
        for place in places:
            try:
                asked = self._takes(place, data, told)
            except (Refused, ExpressionFailed) as error:
                if strict:
                    raise
                course = self._courses[place[0]]
                step = f"{course.id_of(place[1])!r} of {course.name}"
                self._book.warn("the filter of a step has no value over an event", step=step, reason=str(error))
                continue
            if isinstance(asked, list):
                missing += asked
            elif asked:
                takes.append(place)
        return takes, missing

    def _again(self, event: Signal, missing: list[int], told: Told, answer: Answer) -> None:
        if event.run and event.run not in self._courses:
            name = encode(event.run, "run")
            self._book.reply(event.token, error=NotPossible("signal", name, "over", "it has ended"))
            return
        found = {payload.id: payload.data for payload in answer.results}
        self.signal(event, {**(told or {}), **dict.fromkeys(missing, b"null"), **found})

    def _meant(self, event: Signal) -> list[Place] | None:
        """Who waits for it; None: it was refused."""
        if not event.run:
            return [place for place in self._by_event.get(event.event, ()) if self._waiting(place)]
        course = self._courses[event.run]
        if event.step:
            number = course.plan.index.get(event.step)
            if number is None:
                known = ", ".join(step.id for step in course.plan.steps if step.wait_for is not None) or "none"
                reason = f"{course.name} has no step {event.step!r}; those that wait for events: {known}"
                self._book.reply(event.token, error=InvalidInput("step", reason))
                return None
            numbers = [number]
        else:
            numbers = [
                number
                for number, step in enumerate(course.plan.steps)
                if step.wait_for is not None and step.wait_for.event == event.event
            ]
        places = [(event.run, number) for number in numbers]
        waiting = [place for place in places if self._waiting(place) is not None]
        if not waiting:
            what = f"step {event.step!r} of {course.name}" if event.step else course.name
            words = sorted({StepState(course.states[number]).word for number in numbers}) or ["without such a step"]
            hint = "an event is taken while a step waits for it"
            self._book.reply(event.token, error=NotPossible("signal", what, " or ".join(words), hint))
            return None
        return waiting

    def _waiting(self, place: Any) -> Course | None:
        """The course of a step, if the step waits."""
        run, number = place
        course = self._courses.get(run)
        return course if course is not None and course.states[number] == StepState.WAITING else None

    def _takes(self, place: Place, data: Any, told: Told) -> bool | list[int]:
        """Whether a step takes an event, or which results must be asked for first."""
        course = self._courses[place[0]]
        try:
            prepared = course.sheet.prepared(place[1], self._steps.language)
        except (InvalidExpression, MissingExtra) as error:
            raise Refused(str(error)) from error
        context, missing = self._steps.read(course, prepared.filter_reads, told)
        if missing:
            return missing
        context["event"] = prepared.heard(data)
        return prepared.takes(context)

    def _tell(self, course: Course, number: int, data: str) -> None:
        step = course.plan.steps[number]
        self._leave(course, number)
        if step.handler or step.http or step.model:
            course.states[number] = StepState.TOLD
            course.events[number] = data
            self._steps.put(course, number, StepState.TOLD, data=data)
            self._steps.offer(course, number)
        else:
            course.data[number] = data
            course.sizes[number] = len(data)
            self._steps.put(course, number, StepState.SUCCEEDED, data=data)
            self._steps.over(course, number, StepState.SUCCEEDED)

    def _leave(self, course: Course, number: int) -> None:
        wait_for = course.plan.steps[number].wait_for
        if wait_for is not None:
            waiting = self._by_event.get(wait_for.event)
            if waiting is not None:
                waiting.pop((course.run.id, number), None)
                if not waiting:
                    del self._by_event[wait_for.event]

    def forget(self, course: Course) -> None:
        """A run ended: none of its steps waits any more."""
        for number, step in enumerate(course.plan.steps):
            if step.wait_for is not None:
                self._leave(course, number)
