"""What people read uses plain words (docs/glossary.md): strings, docstrings, comments and pages are searched."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = ("quartet", "model", "indexer", "service", "demo", "benchmarks", "training", "tests")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]

RIDDLES = {
    r"anew": "again",
    r"lies?": "is, are",
    r"beside": "next to, with, compared with",
    r"(?:goes|changes?|changing|changed) over": "switches to",
    r"(?<!there )\b(?:is|are) no (?!longer|more)": "is not a",
    r"(?<!there )\b(?:is|are) (?-i:none)(?! of)": "is not one",
    r"the ones? before": "the previous one",
    r"of before": "previous",
    r"put back": "restored",
    r"not at hand": "missing",
    r"cut short": "interrupted",
    r"come to rest": "stopped changing",
    r"an object a line": "one object per line",
    r"has nothing to say": "does not count",
    r"cannot be listened on": "is already in use",
    r"let it end later": "start must be before end",
    r"most (?:waiting|open) \w+": "maximum",
    r"what is kept of that": "name the thing that is kept",
    r"least score": "minimum score",
}
"""A pattern, and what to write instead. docs/glossary.md has the list for people."""

IN_STRINGS = {
    r"(?:make|makes|made) again": "rebuild, restore",
    r"(?:has|have) gone": "is missing",
    r"go(?:es)? on": "continue",
    r"of the model before": "of the previous model",
}
"""And what docstrings may say but no message."""

EXCEPTIONS = {
    "model/language/lemma_rules.py",  # irregular verbs: lie, lying
    "tests/packaging/test_words.py",
    "docs/glossary.md",  # shows the words that it replaces
}


def search(text: str, riddles: dict[str, str]) -> list[str]:
    """Each riddle in `text`, with what to write."""
    found = [
        (match[0], better)
        for pattern, better in riddles.items()
        for match in re.finditer(
            rf"\b{pattern}\b" if pattern[0] != "(" else pattern, " ".join(text.split()), re.IGNORECASE
        )
    ]
    return [f"{said!r}: write {better}" for said, better in found]


def spoken(source: str) -> Iterator[tuple[str, bool]]:
    """Docstrings and comments, and (True) strings of several words."""
    tree = ast.parse(source)
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) in bare:
                yield node.value, False
            elif " " in node.value.strip():
                yield node.value, True
    yield from (
        (token.string, False)
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    )


def files(folder: str) -> list[Path]:
    return [path for path in (ROOT / folder).rglob("*.py") if path.relative_to(ROOT).as_posix() not in EXCEPTIONS]


@pytest.mark.parametrize("folder", CODE)
def test_code_speaks_plainly(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {riddle}"
        for path in files(folder)
        for text, string in spoken(path.read_text(encoding="utf-8"))
        if not (string and folder == "tests")
        for riddle in search(text, RIDDLES | IN_STRINGS if string else RIDDLES)
    ]
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_speak_plainly(page: Path) -> None:
    if page.relative_to(ROOT).as_posix() in EXCEPTIONS:
        return
    assert search(re.sub(r"`[^`]*`", "``", page.read_text(encoding="utf-8")), RIDDLES) == []


@pytest.mark.parametrize(
    "old",
    [
        "Most waiting queries; more are answered 429.",
        "Where a named root of the videos lies here.",
        "Largest body in bytes that is no upload; larger ones are answered 413.",
        "Port 8110 of 127.0.0.1 cannot be listened on: Address already in use.",
        "The time range from 9 s to 3 s is empty. Let it end later.",
        "A command that had been cut short was finished.",
        "The newest generation cannot be opened; the one before goes on answering.",
        "The video is given up and its clips divided anew.",
        "Print progress and report as a JSON object a line, beside the log.",
        "every level but one has nothing to say at that level",
    ],
)
def test_the_old_strings_are_noticed(old: str) -> None:
    assert search(old, RIDDLES)


def test_plain_strings_pass() -> None:
    assert (
        search("There is no library at x. It is no longer needed; relied on, supplies and goods are one.", RIDDLES)
        == []
    )
