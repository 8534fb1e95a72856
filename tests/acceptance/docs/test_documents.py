"""What the documents say is what happens."""

import ast
from pathlib import Path

import pytest

from tests.acceptance.docs.documents import (
    CHINESE,
    DOCS,
    ENGLISH,
    ROOT,
    Block,
    anchors,
    blocks,
    documents,
    headings,
    links,
    name,
)
from tests.acceptance.docs.following import follow, normalised

WITH_RUNNABLE = [
    document for document in documents() if document != CHINESE and any("runnable" in b.marks for b in blocks(document))
]
WRITTEN_BY_PEOPLE = [document for document in documents() if DOCS / "reference" not in document.parents]
PYTHON = [block for document in WRITTEN_BY_PEOPLE for block in blocks(document) if block.language == "python"]


@pytest.mark.parametrize("document", WITH_RUNNABLE, ids=name)
def test_following_a_document_prints_what_it_says(document: Path, tmp_path: Path) -> None:
    followed = 0
    for outcome in follow(blocks(document), tmp_path):
        assert outcome.status == 0, f"{outcome.place} ended with {outcome.status}:\n{outcome.found}"
        assert normalised(outcome.found) == normalised(outcome.said), outcome.place
        followed += 1
    assert followed


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.place)
def test_python_in_a_document_is_python(block: Block) -> None:
    code = compile(block.text, block.place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
    assert code.body


@pytest.mark.parametrize("document", documents(), ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in links(document):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{name(document)} links to {link}"
        assert target.is_relative_to(ROOT), f"{name(document)} links out of the project: {link}"
        assert not anchor or anchor in anchors(target), f"{name(document)} links to {link}, a heading that is not there"


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [ENGLISH]
    while waiting:
        document = waiting.pop()
        if document in reached:
            continue
        reached.add(document)
        found = ((document.parent / link.partition("#")[0]).resolve() for link in links(document) if "://" not in link)
        waiting += [target for target in found if target.suffix == ".md" and target.is_file()]
    assert [name(each) for each in documents() if each not in reached] == []


def test_both_readmes_have_the_same_sections_code_and_links() -> None:
    assert [level for level, _ in headings(CHINESE)] == [level for level, _ in headings(ENGLISH)]
    assert [block.text for block in blocks(CHINESE)] == [block.text for block in blocks(ENGLISH)]
    other = {"README.md": "README.zh-CN.md"}
    assert [other.get(link, link) for link in links(ENGLISH)] == [other.get(link, link) for link in links(CHINESE)]


def test_every_decision_is_listed_and_numbered_in_order() -> None:
    pages = sorted(path for path in (DOCS / "adr").glob("*.md") if path.name != "README.md")
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    titles = [f"[{headings(page)[0][1]}]({page.name})" for page in pages]
    listed = (DOCS / "adr" / "README.md").read_text(encoding="utf-8")
    assert [title for title in titles if title not in listed] == []
    assert all(headings(page)[0][1].startswith(page.name[:4]) for page in pages)
