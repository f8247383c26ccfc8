"""docs/architecture.md is true: what it points at exists, and every room says what it is for."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("quartet", "model", "indexer", "service", "demo", "benchmarks")
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def rooms() -> list[Path]:
    return sorted(init.parent for package in PACKAGES for init in (ROOT / package).rglob("__init__.py"))


def test_what_the_tables_point_at_exists() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    paths = [path for row in rows for path in re.findall(r"`([\w/]+/(?:[\w]+\.\w+)?)`", row) if "/" in path[:-1]]
    assert len(paths) > 30
    assert [path for path in paths if not (ROOT / path).exists() and path not in ("loop/", "compare/")] == []


def test_what_the_certificates_row_names_is_there() -> None:
    assert "def resolve_weights" in (ROOT / "model" / "levels.py").read_text(encoding="utf-8")
    assert "class _Turn" in (ROOT / "indexer" / "media" / "frame_pixels.py").read_text(encoding="utf-8")
    assert "def fold_text" in (ROOT / "model" / "holographic_head.py").read_text(encoding="utf-8")


def test_every_room_says_what_it_is_for_and_stays_small() -> None:
    for room in rooms():
        assert ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))), room
        files = [path for path in room.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= 17, f"{room} has {len(files)} files"
    for folder in (ROOT / "service" / "page").rglob("*/"):
        assert len([path for path in folder.iterdir() if path.is_file()]) <= 15, folder
