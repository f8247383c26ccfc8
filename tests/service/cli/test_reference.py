"""docs/cli.md is the help of every command."""

from __future__ import annotations

from pathlib import Path

from service.cli.reference import page

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_is_up_to_date() -> None:
    committed = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert committed == page(), "Run: python -m service.cli.reference docs/cli.md"


def test_it_has_commands_of_groups_and_their_options() -> None:
    said = page()
    assert "\n## quartet captions add\n" in said and "\n## quartet searches save\n" in said
    assert "| `--library, -l LIBRARY` |" in said and "| `--seed SEED` | Random seed." in said
    assert "[dim]" not in said and "[bold]" not in said
