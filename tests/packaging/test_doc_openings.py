"""Each page of docs opens with whom it is for and what the reader has at its end, and the index names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
OPENING = re.compile(r"# [^\n]+\n\n\*For [^*]+\. At its end [^*]+[.]\*\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_says_for_whom_it_is(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert OPENING.match(text), f"{page.name} must open with: *For PEOPLE. At its end RESULT.*"


def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    named = {page.relative_to(DOCS).as_posix() for page in PAGES if page.parent.name != "decisions"}
    assert {name for name in named if f"]({name})" not in index} == {"README.md"}
