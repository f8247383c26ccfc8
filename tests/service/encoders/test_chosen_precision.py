"""What networks are computed in: as it is set, else as the library was made, and a new one in bf16 if that can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.store.search_settings import library_precision
from service.encoders import model_choice
from service.encoders.model_choice import chosen_precision, remember_precision
from service.settings import Settings
from tests.service.conftest import World


@pytest.mark.parametrize(("able", "expected"), [(True, "bf16"), (False, "float32")])
def test_a_new_library(able: bool, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_choice, "has_bf16", lambda: able)
    assert chosen_precision(Settings(library=tmp_path / "new")) == expected
    assert chosen_precision(Settings(library=tmp_path / "new", precision="float32")) == "float32"


def test_a_library_goes_on_as_it_was_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_choice, "has_bf16", lambda: True)
    auto = Settings(library=world.library)
    assert chosen_precision(auto) == "float32", "it was made before it was noted"
    remember_precision(auto)
    assert not (world.library / "search_settings.json").exists()
    remember_precision(auto.model_copy(update={"precision": "bf16"}))
    assert library_precision(world.library) == chosen_precision(auto) == "bf16"
    assert chosen_precision(auto.model_copy(update={"precision": "float32"})) == "float32"
