"""Bounds what an expression may cost, before it is evaluated: the library itself knows no limit.

CEL always ends, but ``list.map(x, list.map(y, y))`` over a thousand elements takes a minute, and a chain of
``.map(x, [x, x])`` doubles its value at every link. So a number of steps and a size of the value are computed that an
expression cannot exceed, from its text and from the sizes of the values that it reads; a step is some 50 ns.
"""

from collections.abc import Iterable, Mapping
from math import prod
from typing import Final

import msgspec

from wsaios.expressions.scan import Macro, Scan
from wsaios.kernel.errors import ExpressionFailed, InvalidExpression
from wsaios.kernel.expression import Reference
from wsaios.kernel.json_value import JsonValue
from wsaios.kernel.views import amount

MAX_LENGTH: Final = 4_000
MAX_MACROS: Final = 16
MAX_NESTING: Final = 3
MAX_MATCHES: Final = 4
MAX_STEPS: Final = 20_000_000
MAX_READ: Final = 1_000_000
MAX_VALUE: Final = 4_000_000
MAX_TEXT: Final = 16 << 20

_ROUND: Final = 8
_PATTERN: Final = 300
_CLASSES: Final = 4_000
_PER_ITEM: Final = 8
_TEXT_UNIT: Final = 16


class Read(msgspec.Struct):
    """What an expression reads.

    `weights`: for each path how many values, where a text counts one for each 16 characters. `longest` is the largest
    number of elements that a value at the end of a path has, `inside` that of what lies deeper, `text` the largest
    number of characters.
    """

    weights: dict[tuple[str, ...], int] = {}
    values: int = 0
    longest: int = 1
    inside: int = 1
    text: int = 0


def check(source: str, scan: Scan) -> None:
    """Refuse what no context makes cheap.

    Raises:
        InvalidExpression: too long, too many macros, or nested too deeply.
    """
    if len(scan.macros) > MAX_MACROS:
        names = ", ".join(sorted({each.kind for each in scan.macros}))
        raise InvalidExpression(source, f"it has {len(scan.macros)} macros ({names}); {MAX_MACROS} are the most")
    deepest = max((_nesting(scan.macros, number) for number in range(len(scan.macros))), default=0)
    if deepest > MAX_NESTING:
        raise InvalidExpression(source, f"macros are nested {deepest} deep; {MAX_NESTING} is the most")
    if scan.matches > MAX_MATCHES:
        raise InvalidExpression(source, f"it has {scan.matches} regular expressions; {MAX_MATCHES} are the most")
    if scan.hard_patterns:
        reason = "inside of a macro, matches() takes a literal of at most 32 characters without { }"
        raise InvalidExpression(source, reason, scan.hard_patterns[0], "matches")


def admit(source: str, scan: Scan, context: Mapping[str, JsonValue], max_steps: int = MAX_STEPS) -> None:
    """Let an expression be evaluated over these values, or not.

    Raises:
        ExpressionFailed: it could take too many steps, or become too large.
    """
    read = weigh(scan.references, context)
    if read.values > MAX_READ:
        raise ExpressionFailed(source, f"it reads more than {MAX_READ:,} values; {_ADVICE}")
    if max(read.text, len(source)) * grown(scan) > MAX_TEXT:
        raise ExpressionFailed(source, f"it could make a text of more than {MAX_TEXT >> 20} MiB; {_ADVICE}")
    if not scan.macros:
        return
    over = f"over {amount(read.longest, 'element')}"
    price = Price(scan, read, context)
    if price.steps > max_steps:
        raise ExpressionFailed(source, f"{over} it could take too long; {_ADVICE}")
    if price.largest > MAX_VALUE:
        raise ExpressionFailed(source, f"{over} its value could be too large; {_ADVICE}")


def weigh(references: Iterable[Reference], context: Mapping[str, JsonValue]) -> Read:
    """What there is to read behind some references; counting ends a little above `MAX_READ`."""
    read = Read()
    for reference in references:
        if reference.path in read.weights or read.values > MAX_READ:
            continue
        before = read.values
        value = found(reference, context)
        read.longest = max(read.longest, len(value) if isinstance(value, list | dict) else 1)
        waiting = _counted(value, read)
        while waiting and read.values <= MAX_READ:
            value = waiting.pop()
            if isinstance(value, list | dict):
                read.inside = max(read.inside, len(value))
            waiting += _counted(value, read)
        read.weights[reference.path] = read.values - before
    return read


def _counted(value: JsonValue, read: Read) -> list[JsonValue]:
    """Count one value; its elements are yet to be counted."""
    read.values += 1
    if isinstance(value, str):
        read.text = max(read.text, len(value))
        read.values += len(value) // _TEXT_UNIT
    elif isinstance(value, dict):
        read.values += len(value)
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def found(reference: Reference, context: Mapping[str, JsonValue]) -> JsonValue:
    """The value behind a reference, or as far as its names lead."""
    value: JsonValue = None
    here: object = context
    for name in reference.path:
        if not isinstance(here, Mapping) or name not in here:
            break
        value = here = here[name]
    return value


def grown(scan: Scan) -> int:
    """How many times longer a list or text can become by all sums together."""
    return prod((1 + each.sums for each in scan.macros), start=1 + scan.sums)


class Price:
    """The most that the macros of an expression can cost: `steps`, and `largest`, the number of values in its value."""

    def __init__(self, scan: Scan, read: Read, context: Mapping[str, JsonValue]) -> None:
        commas = scan.commas + sum(each.commas for each in scan.macros)
        self._macros, self._read, self._context = scan.macros, read, context
        self._width, self._inside = (max(each, commas + 1) * grown(scan) for each in (read.longest, read.inside))
        self.steps = 0
        # What stands in the text itself is there also when nothing is read.
        self._values = read.values + commas + 1
        self._inner: list[list[int]] = [[] for _ in scan.macros]
        for number, macro in enumerate(scan.macros):
            if macro.outer >= 0:
                self._inner[macro.outer].append(number)
        for number, macro in enumerate(scan.macros):
            if macro.outer < 0:
                self._made(number, 1, 0, 1 + scan.sums + scan.commas)
        self.largest = self._values * (1 + scan.sums + scan.commas)

    def _made(self, number: int, times: int, around: int, joins: int) -> int:
        """How many values a macro makes in all, when it is evaluated so many `times`.

        `around` is how many values the elements of the macro around it have together; `joins` is how often what it
        goes over may be joined together.
        """
        macro = self._macros[number]
        width = self._inside if macro.own and macro.outer >= 0 else max(self._width, self._inside)
        total = around if macro.own and macro.outer >= 0 else times * self._values * joins
        if macro.outer < 0 and macro.over is not None:
            total = self._read.weights.get(macro.over.path, total)
        rounds = min(times * width, total)
        foreign = sum(self._read.weights.get(path, 0) for path in {each.path for each in macro.foreign})
        if macro.captures:
            foreign += around // max(times, 1) + 1
        body = 1 + macro.sums + macro.commas
        inner = sum(self._made(each, rounds, total, body) for each in self._inner[number])
        made = times
        if macro.kind == "filter":
            made = total
        elif macro.kind == "map":
            made = (self._parts(macro, total) + inner + rounds * foreign) * (1 + macro.sums) + rounds * body
        copied = width * made // 2 if macro.kind in {"map", "filter"} else 0
        # The library copies the list that it makes with every element that it adds.
        self.steps += copied + rounds * (_ROUND + foreign // _PER_ITEM + sum(map(_compiling, macro.patterns)))
        self._values += made
        return made

    def _parts(self, macro: Macro, total: int) -> int:
        """How many values its elements have in those parts that its body reads."""
        if macro.over is None or macro.outer >= 0:
            return total * len(macro.paths)
        elements = found(macro.over, self._context)
        if not isinstance(elements, list | dict):
            return 0
        count = 0
        for path in macro.paths:
            for element in elements:
                count += _weight(element, path, MAX_VALUE)
                if count > MAX_VALUE:
                    return count
        return count


def _weight(element: JsonValue, path: tuple[str, ...], most: int) -> int:
    """How many values stand at the end of a path in an element; counting ends above `most`."""
    part = Read()
    waiting = [found(Reference(path, 0), element) if path and isinstance(element, dict) else element]
    while waiting and part.values <= most:
        waiting += _counted(waiting.pop(), part)
    return part.values


def _compiling(pattern: str) -> int:
    """Steps to compile a short regular expression; one that names a class has a part of Unicode in it."""
    return len(pattern) * _PATTERN + pattern.count("\\") * _CLASSES


def _nesting(macros: list[Macro], number: int) -> int:
    depth = 0
    while number >= 0:
        depth, number = depth + 1, macros[number].outer
    return depth


_ADVICE: Final = "let a handler do it"
