"""Machine code is kept for the next process, and never for other sources."""

from __future__ import annotations

from pathlib import Path

import numba
import pytest

from indexer.search.exact.machine_code_cache import keep_machine_code


@pytest.fixture(autouse=True)
def no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")


def test_other_sources_have_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [tmp_path / "kernel.py", tmp_path / "products.py"]
    places = []
    for text in ("one", "two", "one"):
        sources[0].write_text("kernel", encoding="utf-8")
        sources[1].write_text(text, encoding="utf-8")
        monkeypatch.setattr(numba.config, "CACHE_DIR", "")
        assert keep_machine_code(list(map(str, sources)), tmp_path / "kept")
        places.append(numba.config.CACHE_DIR)
    assert places[0] == places[2] != places[1]
    assert all(Path(place).is_dir() and Path(place).parent == tmp_path / "kept" for place in places)


def test_a_place_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not keep_machine_code([__file__], tmp_path / "file")
    assert numba.config.CACHE_DIR == ""


def test_the_place_of_the_environment_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "mine"))
    assert keep_machine_code([__file__], tmp_path / "kept")
    assert str(tmp_path / "mine") == numba.config.CACHE_DIR and not (tmp_path / "kept").exists()
