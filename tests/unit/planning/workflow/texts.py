"""Definitions of tests, and what is said of them."""

from typing import Any

import pytest

from wsaios.expressions import Cel
from wsaios.kernel.errors import InvalidDefinition
from wsaios.kernel.flaw import Flaw
from wsaios.planning.workflow.check import Format, check_text
from wsaios.planning.workflow.plan import Plan

CEL = Cel()


def plan(text: str | bytes, form: Format = "yaml", handlers: Any = None) -> Plan:
    data = text.encode() if isinstance(text, str) else text
    return check_text(data, source=f"flow.{form}", form=form, language=CEL, handlers=handlers)


def flaws(text: str | bytes, form: Format = "yaml", handlers: Any = None) -> list[Flaw]:
    with pytest.raises(InvalidDefinition) as refusal:
        plan(text, form, handlers)
    assert str(refusal.value).startswith(f"flow.{form}: ")
    return list(refusal.value.flaws)


def marked(text: str) -> tuple[str, list[tuple[int, int]]]:
    """A text without its marks ⟦, and the line and column of what stands behind each of them."""
    places: list[tuple[int, int]] = []
    clean = ""
    for part in text.split("⟦"):
        clean += part
        places.append((clean.count("\n") + 1, len(clean) - clean.rfind("\n")))
    return clean, places[:-1]
