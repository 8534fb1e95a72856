"""What can be told of an expression without running it: the values that it reads, its macros, its operators.

The library compiles and evaluates; it tells neither places nor nesting, and it has no limit of cost. So the tokens are
read once more here. A text that reaches this has been compiled, so it is one whole expression.
"""

import re
from typing import Final

import msgspec

from wsaios.kernel.expression import Reference

MACROS: Final = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})
MAX_PATTERN: Final = 34
"""Characters of a regular expression inside of a macro, its quotes included."""

_LITERALS: Final = frozenset({"true", "false", "null", "in"})
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<text>(?:[bB]?[rR]|[rR][bB])(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
      |[bB]?(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?[uU]?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||[=!<>]=|.)""",
    re.VERBOSE | re.DOTALL,
)
_KEY: Final = re.compile(r"""("|')([^"'\\]*)\1""")


class Macro(msgspec.Struct):
    """One macro of an expression, such as ``list.map(x, …)``.

    `outer` is the place of the macro around it in the list of all, -1 for none. `own`: what it goes over is a value of
    the context, or a part of an element of the macro around it, so that all its rounds together visit each value of
    the context at most once; `over` is that value of the context, where it is written out. `sums` counts the ``+`` in
    its body, `commas` what stands beside each other, and the lists and maps that are made there. `paths` are the parts
    of its elements that its body reads, `foreign` are values of the context that it reads; `captures`: it reads a
    variable of a macro around it. `patterns` are its regular expressions, which are compiled anew at every round. What
    stands in the body of a macro inside of it counts there.
    """

    kind: str
    outer: int
    own: bool
    over: Reference | None = None
    variable: str = ""
    sums: int = 0
    commas: int = 0
    paths: list[tuple[str, ...]] = []
    foreign: list[Reference] = []
    captures: bool = False
    patterns: list[str] = []


class Scan(msgspec.Struct):
    """All that was found; sums and commas are those outside of macros, `calls` names functions and their places.

    `hard_patterns` are places of regular expressions inside of macros that are no short literal.
    """

    references: list[Reference] = []
    macros: list[Macro] = []
    calls: list[tuple[str, int]] = []
    sums: int = 0
    commas: int = 0
    matches: int = 0
    hard_patterns: list[int] = []


class _Frame(msgspec.Struct):
    """An open bracket; `macro` is the one whose arguments it holds, `root` what the chain before it begins with."""

    macro: int
    root: str | None


Token = tuple[str, str, int]


def scan(source: str) -> Scan:
    """What `source`, which is an expression, is made of."""
    return _Scanner(_tokens(source)).run()


def _tokens(source: str) -> list[Token]:
    return [
        (str(found.lastgroup), found[0], found.start())
        for found in _TOKEN.finditer(source)
        if found.lastgroup != "space"
    ]


class _Scanner:
    """Goes over the tokens once; `_inside` is the innermost macro, `_root` what the chain at hand begins with."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = [*tokens, ("end", "", 0)]
        self._at = 0
        self._scan = Scan()
        self._frames: list[_Frame] = []
        self._inside = -1
        self._root: str | None = None
        # The value of the context that the chain at hand is so far, and the token where that is so.
        self._over: tuple[int, Reference] | None = None
        self._end = 0

    def run(self) -> Scan:
        """Read all."""
        while self._at < len(self._tokens) - 1:
            kind, text, _ = self._tokens[self._at]
            if kind == "name":
                self._name(text)
            elif text in "([{" and kind == "sign":
                self._bracket(text)
            elif text in ")]}" and kind == "sign":
                self._close(text)
            else:
                self._other(kind, text)
            self._at += 1
        return self._scan

    def _peek(self, step: int) -> str:
        at = self._at + step
        return self._tokens[at][1] if 0 <= at < len(self._tokens) else ""

    def _after_value(self) -> bool:
        """Whether the bracket at hand belongs to what stands before it: an index or a call."""
        kind, text, _ = self._tokens[self._at - 1] if self._at else ("", "", 0)
        return kind == "text" or text in {")", "]", "}"} or (kind == "name" and text not in _LITERALS)

    def _name(self, text: str) -> None:
        place = self._tokens[self._at][2]
        calls, follows = self._peek(1) == "(", self._peek(-1) == "."
        if calls and follows and text in MACROS:
            self._begin_macro(text)
        elif calls:
            self._scan.calls.append((text, place))
            if text == "matches":
                self._count_match(place)
            if not follows:
                self._root = None
        elif not follows and text not in _LITERALS:
            self._read(text, place)
        elif not follows:
            self._root = None

    def _read(self, text: str, place: int) -> None:
        """A chain of names that begins here: a variable of a macro, or a value of the context."""
        self._root = text
        reference = Reference((text, *self._path()), place)
        depth = self._bound(text)
        if depth is not None:
            macro = self._scan.macros[self._inside]
            if depth == self._inside:
                macro.paths.append(reference.path[1:])
            else:
                macro.captures = True
            return
        self._scan.references.append(reference)
        self._over = (self._end, reference)
        if self._inside >= 0:
            self._scan.macros[self._inside].foreign.append(reference)

    def _path(self) -> list[str]:
        """The names behind a variable, as far as they are written out."""
        path: list[str] = []
        at = self._at + 1
        while True:
            sign, (kind, text, _) = self._tokens[at][1], self._tokens[min(at + 1, len(self._tokens) - 1)]
            after = self._tokens[min(at + 2, len(self._tokens) - 1)][1]
            if sign == "." and kind == "name" and after != "(":
                path.append(text)
                at += 2
            elif sign == "[" and kind == "text" and after == "]" and (key := _KEY.fullmatch(text)):
                path.append(key[2])
                at += 3
            else:
                self._end = at
                return path

    def _bound(self, name: str) -> int | None:
        at = self._inside
        while at >= 0:
            if self._scan.macros[at].variable == name:
                return at
            at = self._scan.macros[at].outer
        return None

    def _begin_macro(self, kind: str) -> None:
        macro = Macro(kind, self._inside, own=self._is_own(), commas=-1, paths=[], foreign=[], patterns=[])
        if self._over is not None and self._over[0] == self._at - 1:
            macro.over = self._over[1]
            # It is what the macro goes over, and no value of the body that it stands in.
            if self._inside >= 0 and macro.over in (foreign := self._scan.macros[self._inside].foreign):
                foreign.remove(macro.over)
        self._scan.macros.append(macro)
        number = len(self._scan.macros) - 1
        self._at += 1
        self._open(number, self._root)
        variable, after = self._tokens[self._at + 1], self._peek(2)
        if variable[0] == "name" and after == ",":
            macro.variable = variable[1]
            self._at += 1
        self._root = None

    def _is_own(self) -> bool:
        if self._root is None:
            return False
        bound = self._bound(self._root)
        if bound is None:
            return self._inside < 0
        return bound == self._inside and self._scan.macros[bound].own

    def _bracket(self, text: str) -> None:
        if self._after_value():
            self._open(self._inside, self._root)
            return
        if text != "(":
            self._counts().commas += 1
        self._open(self._inside, None)

    def _counts(self) -> Macro | Scan:
        return self._scan.macros[self._inside] if self._inside >= 0 else self._scan

    def _open(self, macro: int, root: str | None) -> None:
        self._frames.append(_Frame(self._inside, root))
        self._inside = macro
        self._root = None

    def _close(self, text: str) -> None:
        if not self._frames:
            return
        frame = self._frames.pop()
        ended = self._inside
        self._inside, self._root = frame.macro, frame.root
        if text == ")" and ended != frame.macro:
            macro = self._scan.macros[ended]
            if macro.kind == "map":
                self._root = None
            elif macro.kind == "filter" and macro.over is not None:
                self._over = (self._at + 1, macro.over)

    def _other(self, kind: str, text: str) -> None:
        counts = self._counts()
        if kind == "sign":
            # A sum with a number in it makes no list or text longer.
            counts.sums += text == "+" and "number" not in {self._tokens[self._at + step][0] for step in (-1, 1)}
            counts.commas += text == ","
        if text not in {".", "?"} or kind != "sign":
            self._root = None

    def _count_match(self, place: int) -> None:
        self._scan.matches += 1
        if self._inside < 0:
            return
        kind, text, _ = self._tokens[min(self._at + 2, len(self._tokens) - 1)]
        self._scan.macros[self._inside].patterns.append(text)
        if kind != "text" or len(text) > MAX_PATTERN or "{" in text:
            self._scan.hard_patterns.append(place)
