"""The drawing of a workflow, also of a large one."""

from tests.unit.planning.workflow.texts import plan
from wsaios.planning.workflow.mermaid import mermaid

FLOW = """\
name: n
steps:
- {id: a-b, handler: 'm:f("x")'}
- {id: end, http: {url: "https://x.org/[1]"}, depends_on: [a-b], when: run.id != ''}
- {id: many, model: m, foreach: "[1]", depends_on: [a-b]}
- {id: ask, wait_for: {event: yes}, depends_on: [end, many]}
"""


def test_steps_have_the_shape_of_what_they_do_and_arrows_go_to_what_waits() -> None:
    assert list(mermaid(plan(FLOW))) == [
        "flowchart TD",
        '  s0["a-b<br/>m:f#40;#34;x#34;#41;"]',
        '  s1["end<br/>GET https://x.org/#91;1#93;"]',
        '  s2[["many<br/>m<br/>for each item"]]',
        '  s3{{"ask<br/>waits for yes"}}',
        "  s0 --> s1",
        "  s0 --> s2",
        "  s1 --> s3",
        "  s2 --> s3",
        "  classDef when stroke-dasharray: 5 5",
        "  class s1 when",
    ]


def test_what_is_left_out_is_said_in_the_drawing() -> None:
    lines = list(mermaid(plan(FLOW), most=2))
    assert '  left["… and 2 more steps"]:::left' in lines
    assert [line for line in lines if "-.->" in line] == ["  s0 -.-> left", "  s1 -.-> left"]
    assert not any("s2" in line or "s3" in line for line in lines)
