"""What stands in the documents: blocks of code with their marks, headings, links."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[3]
DOCS: Final = ROOT / "docs"
ENGLISH: Final = ROOT / "README.md"
CHINESE: Final = ROOT / "README.zh-CN.md"

_FENCE: Final = re.compile(r"^```(.*)$")
_HEADING: Final = re.compile(r"^(#{1,6}) (.+)$")
_LINK: Final = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_INLINE_CODE: Final = re.compile(r"`[^`]*`")


class Block(NamedTuple):
    """A fenced block: with ``runnable`` it is run, ``output`` is what the one before prints, `file` its name."""

    document: Path
    line: int
    language: str
    marks: frozenset[str]
    file: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """Every document, the READMEs first."""
    return [ENGLISH, CHINESE, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def name(document: Path) -> str:
    return str(document.relative_to(ROOT))


def blocks(document: Path) -> list[Block]:
    found: list[Block] = []
    info, begun, lines = "", 0, list[str]()
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), start=1):
        fence = _FENCE.match(line)
        if fence is None:
            lines.append(line)
        elif begun:
            found.append(_block(document, begun, info, lines))
            begun = 0
        else:
            info, begun, lines = fence[1], number, []
    assert not begun, f"{document}:{begun}: this block is never closed"
    return found


def _block(document: Path, line: int, info: str, lines: list[str]) -> Block:
    language, *marks = info.split() or [""]
    files = [mark.removeprefix("file=") for mark in marks if mark.startswith("file=")]
    rest = frozenset(mark for mark in marks if not mark.startswith("file="))
    assert rest <= {"runnable", "output"}, f"{document}:{line}: unknown marks {sorted(rest)}"
    return Block(document, line, language, rest, files[0] if files else "", "".join(f"{each}\n" for each in lines))


def headings(document: Path) -> list[tuple[int, str]]:
    """Levels and texts."""
    found = (_HEADING.match(line) for line in _prose(document))
    return [(len(match[1]), match[2]) for match in found if match]


def links(document: Path) -> list[str]:
    """What the links of the prose point to, images included."""
    return [target for line in _prose(document) for target in _LINK.findall(_INLINE_CODE.sub("", line))]


def anchors(document: Path) -> set[str]:
    """What a link may name behind its #, as GitHub makes it of headings."""
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for _, text in headings(document)}


def _prose(document: Path) -> Iterator[str]:
    fenced = False
    for line in document.read_text(encoding="utf-8").splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield line
