"""The texts of the page: every language has them all, and the page has no others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.service.page.conftest import Visit
from tests.service.page.looking import QUERY, cards

PAGE = Path(__file__).parents[3] / "service" / "page"
TABLES: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (PAGE / "languages").glob("*.json")
}
ENGLISH = TABLES["en"]
SCRIPTS = {path: path.read_text(encoding="utf-8") for path in PAGE.rglob("*.js")}
# Riddles that the page used to pose, and words that a plain sentence does without.
STALE = ("least score", "read as", "beside", "anew", " lies", "is no ", "goes over", "it is read once", "begins when")


def forms(text: Any) -> list[str]:
    return list(text.values()) if isinstance(text, dict) else [text]


@pytest.mark.parametrize("language", sorted(TABLES))
def test_a_language_has_every_text_with_its_values(language: str) -> None:
    table = TABLES[language]
    optional = {key for key in table if key.startswith("meaning.")}
    assert set(table) - optional == set(ENGLISH)
    for key in set(table) - optional:
        wanted = set(re.findall(r"\{\w+\}", " ".join(forms(ENGLISH[key]))))
        assert set(re.findall(r"\{\w+\}", " ".join(forms(table[key])))) == wanted, key
        assert isinstance(table[key], dict) == isinstance(ENGLISH[key], dict), key


def test_every_text_that_is_asked_for_is_there() -> None:
    asked = {key for text in SCRIPTS.values() for key in re.findall(r'\bt\("([\w.-]+)"', text)}
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    asked |= set(re.findall(r'data-t(?:-\w+)?="([\w.-]+)"', html))
    assert len(asked) > 150
    assert sorted(asked - set(ENGLISH)) == []


def test_index_says_in_english_what_the_table_says() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    for key, text in re.findall(r'data-t="([\w.-]+)"[^>]*>([^<]*)<', html):
        assert text == ENGLISH[key]
    for key, text in re.findall(r'data-t-label="([\w.-]+)" aria-label="([^"]*)"', html):
        assert text == ENGLISH[key]


def test_scripts_hold_no_texts_of_their_own() -> None:
    # A string of several words that begins with a capital is a sentence for people.
    for path, text in SCRIPTS.items():
        if path.name == "docs.js":
            continue
        code = "\n".join(line for line in text.splitlines() if not line.strip().startswith("//"))
        assert re.findall(r'"[A-Z][a-z]+ [^"]*[a-z]"', code) == [], path.name


def test_english_is_plain() -> None:
    for key, text in ENGLISH.items():
        for form in forms(text):
            assert not [word for word in STALE if word in f"{form.lower()} "], key


def test_the_page_speaks_german(visit: Visit) -> None:
    page = visit(locale="de-DE")
    page.goto(f"/?q={QUERY}")
    expect(page.get_by_role("status").first).to_have_text(re.compile(r"^Beste 5 Clips \([\d,]+ ms\)"))
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_label("Beschreibe einen Clip")).to_have_value(QUERY)
    # Another language can be chosen, and is kept.
    page.get_by_role("button", name="Einstellungen").click()
    page.locator("#settings").get_by_label("Sprache").select_option("English")
    expect(page.get_by_role("status").first).to_contain_text("Top 5 clips")
    expect(cards(page)).to_have_count(5)
