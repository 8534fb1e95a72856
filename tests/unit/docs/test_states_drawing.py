"""The drawing of the states agrees with the transition table."""

import re
from pathlib import Path

from wsaios.kernel.states import ENDED, TRANSITIONS, State, by_word

PAGE = Path(__file__).resolve().parents[3] / "docs" / "explanation" / "states.md"
ARROW = re.compile(r"^\s*(\w+|\[\*\]) --> (\w+|\[\*\])(?::.*)?$")
ROW = re.compile(r"^\| `(\w+)` \|")
OUTSIDE = "[*]"


def drawn() -> list[tuple[str, str]]:
    drawing = PAGE.read_text(encoding="utf-8").split("```mermaid\n")[1].split("```")[0]
    head, *lines = drawing.splitlines()
    assert head == "stateDiagram-v2"
    arrows = [ARROW.match(line) for line in lines]
    assert all(arrows), [line for line, arrow in zip(lines, arrows, strict=True) if not arrow]
    return [(arrow[1], arrow[2]) for arrow in arrows if arrow]


def test_every_transition_is_drawn_once_and_nothing_else() -> None:
    changes = [(source, target) for source, target in drawn() if target != OUTSIDE]
    found = [(State.NEW if source == OUTSIDE else by_word(source), by_word(target)) for source, target in changes]
    allowed = [(source, target) for source, targets in TRANSITIONS.items() for target in targets]
    assert sorted(found) == sorted(allowed)


def test_the_states_that_end_a_task_are_drawn_as_ends() -> None:
    assert sorted(by_word(source) for source, target in drawn() if target == OUTSIDE) == sorted(ENDED)


def test_every_state_is_explained() -> None:
    rows = [ROW.match(line) for line in PAGE.read_text(encoding="utf-8").splitlines()]
    explained = [by_word(row[1]) for row in rows if row]
    assert sorted(explained) == sorted(set(State) - {State.NEW})
