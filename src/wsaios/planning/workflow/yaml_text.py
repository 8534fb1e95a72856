"""Definitions in YAML: the part of it that JSON can carry, with bounds on what a small text may become.

Values are those of YAML 1.2's core schema: ``yes``, ``on`` and dates are texts. Texts are read as events of libyaml, so
that nothing is built that a definition must not have.
"""

import math
import re
from collections.abc import Container
from typing import Any, Final

from wsaios.kernel.errors import MissingExtra
from wsaios.planning.workflow.finding import Finding, Findings, Path, Span

MAX_BYTES: Final = 16 << 20
MAX_VALUES: Final = 2_000_000
MAX_DEPTH: Final = 100
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_PLAIN_FROM: Final = frozenset("+-.0123456789")
_TEXT_TAGS: Final = frozenset({None, "!", "tag:yaml.org,2002:str"})
_MOST_DIGITS: Final = 4_300


class _Refused(Exception):
    """Never leaves this file."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def read_yaml(text: str, findings: Findings) -> Any:
    """The value of a text; what is wrong with it goes to `findings`."""
    if len(text) > MAX_BYTES:
        reason = f"it has {len(text):,} characters; {MAX_BYTES:,} are the most in YAML, JSON may have more"
        findings.append(Finding((), "limit", reason))
        return None
    reader = _Reader(text, findings)
    try:
        return reader.read()
    except _Refused as refused:
        findings.append(refused.finding)
    except reader.errors as error:
        findings.append(_syntax(error))
    return None


def _syntax(error: Exception) -> Finding:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    parts = [getattr(error, "context", None), getattr(error, "problem", None) or getattr(error, "reason", None)]
    reason = ", ".join(str(part) for part in parts if part) or "it cannot be read"
    place = mark.index if mark is not None else getattr(error, "position", 0)
    return Finding((), "syntax", f"this is not YAML: {reason}", offset=place)


class _Open:
    """A mapping or list that has begun; `key` is the one whose value comes next."""

    def __init__(self, into: Any, anchor: str | None, before: int) -> None:
        self.into, self.anchor, self.before = into, anchor, before
        self.is_mapping = isinstance(into, dict)
        self.key: str | None = None


class _Reader:
    """Builds values from events; an alias is the very value of its anchor, counted as often as it stands there."""

    def __init__(self, text: str, findings: Findings) -> None:
        yaml = _yaml()
        self.errors: tuple[type[Exception], ...] = (yaml.YAMLError, UnicodeEncodeError)
        self._text, self._findings = text, findings
        self._loader = yaml.CSafeLoader
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        self._count = 0
        self._value: Any = None
        self._documents = 0

    def read(self) -> Any:
        loader = self._loader(self._text)
        try:
            while (event := loader.get_event()) is not None:
                getattr(self, _HANDLED.get(type(event).__name__, "_nothing"))(event)
        finally:
            loader.dispose()
        return self._value

    def _nothing(self, event: Any) -> None:
        """Begins and ends of streams."""

    def document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._refuse(event, "syntax", "a second document begins here; a file has one definition")

    def scalar(self, event: Any) -> None:
        frame = self._open[-1] if self._open else None
        if event.tag not in _TEXT_TAGS:
            self._refuse(event, "syntax", f"the tag {event.tag!r} is not taken", event.tag)
        text = event.value
        value = self._resolved(text, event) if event.implicit[0] and event.tag is None else text
        if frame is not None and frame.is_mapping and frame.key is None:
            self._key(frame, value, event)
            return
        self._put(value, event.anchor, 1)

    def begin_mapping(self, event: Any) -> None:
        self._begin(event, {})

    def begin_list(self, event: Any) -> None:
        self._begin(event, [])

    def end(self, event: Any) -> None:
        del event
        frame = self._open.pop()
        size = self._count - frame.before + 1
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.into, size)
        self._put(frame.into, None, 1)

    def alias(self, event: Any) -> None:
        frame = self._open[-1] if self._open else None
        if frame is not None and frame.is_mapping and frame.key is None:
            self._refuse(event, "type", "a key must be a text, not an alias", event.anchor)
        known = self._anchors.get(event.anchor)
        if known is None:
            what = "contains itself" if event.anchor in self._anchors else "is not there"
            self._refuse(event, "syntax", f"the anchor {event.anchor!r} {what}", event.anchor)
            return
        value, size = known
        if self._depth(value) + len(self._open) > MAX_DEPTH:
            self._refuse(event, "limit", f"nested more than {MAX_DEPTH} levels deep", event.anchor)
        self._put(value, None, size, event)

    def _begin(self, event: Any, into: Any) -> None:
        frame = self._open[-1] if self._open else None
        if event.tag not in {None, "!"}:
            self._refuse(event, "syntax", f"the tag {event.tag!r} is not taken", event.tag)
        if frame is not None and frame.is_mapping and frame.key is None:
            self._refuse(event, "type", "a key must be a text, not a list or a mapping")
        if len(self._open) >= MAX_DEPTH:
            self._refuse(event, "limit", f"nested more than {MAX_DEPTH} levels deep")
        if event.anchor:
            self._anchors[event.anchor] = None
        self._open.append(_Open(into, event.anchor, self._count))

    def _key(self, frame: _Open, value: Any, event: Any) -> None:
        place = event.start_mark.index
        if not isinstance(value, str):
            message = f"a key must be a text, and {event.value!r} is none; put it in quotes"
            self._findings.append(Finding((), "type", message, str(event.value), offset=place))
            value = str(event.value)
        if value in frame.into:
            message = f"the key {value!r} is there already"
            self._findings.append(Finding((), "duplicate-key", message, value, offset=place))
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)
        frame.key = value

    def _put(self, value: Any, anchor: str | None, size: int, event: Any = None) -> None:
        self._count += size
        if self._count > MAX_VALUES:
            message = f"with its aliases it has more than {MAX_VALUES:,} values"
            raise _Refused(Finding((), "limit", message, offset=event.start_mark.index if event else 0))
        if anchor:
            self._anchors[anchor] = (value, size)
        if not self._open:
            self._value = value
            return
        frame = self._open[-1]
        if frame.is_mapping:
            frame.into[frame.key] = value
            frame.key = None
        else:
            frame.into.append(value)

    def _resolved(self, text: str, event: Any) -> Any:
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in _PLAIN_FROM:
            return text
        if _INTEGER.fullmatch(text):
            if len(text) > _MOST_DIGITS:
                self._refuse(event, "limit", f"a number of {len(text):,} digits")
            return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
        if _NO_NUMBER.fullmatch(text) or (_FLOAT.fullmatch(text) and math.isinf(float(text))):
            self._refuse(event, "type", f"{text[:80]} is not a number that JSON can carry", text[:80])
        return float(text) if _FLOAT.fullmatch(text) else text

    def _depth(self, value: Any) -> int:
        """How deep a value is; it was read before, so it is within the bound."""
        depth, level = 0, [value]
        while level := [each for each in level if isinstance(each, dict | list)]:
            depth += 1
            seen: dict[int, Any] = {}
            for each in level:
                for item in each.values() if isinstance(each, dict) else each:
                    seen[id(item)] = item
            level = list(seen.values())
        return depth

    def _refuse(self, event: Any, kind: Any, message: str, name: str = "") -> None:
        raise _Refused(Finding((), kind, message, name, offset=event.start_mark.index))


_HANDLED: Final = {
    "DocumentStartEvent": "document",
    "ScalarEvent": "scalar",
    "MappingStartEvent": "begin_mapping",
    "SequenceStartEvent": "begin_list",
    "MappingEndEvent": "end",
    "SequenceEndEvent": "end",
    "AliasEvent": "alias",
}


def locate_yaml(text: str, wanted: Container[Path]) -> dict[Path, tuple[Span, Span]]:
    """Where the wanted parts of a YAML text, which can be read, stand: their keys and their values."""
    spans: dict[Path, tuple[Span, Span]] = {}
    frames: list[list[Any]] = []
    here: Path = ()
    key = Span(0, 0)
    loader = _yaml().CSafeLoader(text)
    try:
        while (event := loader.get_event()) is not None:
            kind = _HANDLED.get(type(event).__name__, "")
            span = Span(event.start_mark.index, event.end_mark.index)
            frame = frames[-1] if frames else None
            if kind == "scalar" and frame is not None and frame[0] == "begin_mapping" and not frame[4]:
                here, key, frame[4] = (*frame[1], event.value), span, True
            elif kind in {"begin_mapping", "begin_list"}:
                frames.append([kind, here, key, span.start, False, 0])
                here = (*here, 0) if kind == "begin_list" else here
            elif kind in {"scalar", "alias", "end"}:
                if kind == "end":
                    _, here, key, start, _, _ = frames.pop()
                    span = Span(start, span.end)
                if here in wanted:
                    spans[here] = (key, span)
                if frames:
                    frame = frames[-1]
                    frame[4], frame[5] = False, frame[5] + 1
                    here = frame[1] if frame[0] == "begin_mapping" else (*frame[1], frame[5])
    finally:
        loader.dispose()
    return spans


def _yaml() -> Any:
    try:
        import yaml  # noqa: PLC0415  # it takes a while to import
    except ImportError as error:
        raise MissingExtra("PyYAML, which reads definitions,", "workflows") from error
    if not hasattr(yaml, "CSafeLoader"):
        raise MissingExtra(
            "PyYAML with libyaml", "workflows", "pip install --force-reinstall --only-binary :all: PyYAML"
        )
    return yaml
