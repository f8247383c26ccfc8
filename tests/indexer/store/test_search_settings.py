"""What a library remembers for its searches: kept, undone, and named where it is damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from indexer.store.search_settings import (
    SETTINGS_FILE,
    SearchSettings,
    read_search_settings,
    undo,
    write_search_settings,
)
from quartet.errors import InputError, LibraryError

PROMPTS = {"entity": ("a photo of {}", "a close-up of {}")}


def test_every_change_can_be_undone(tmp_path: Path) -> None:
    assert read_search_settings(tmp_path) == SearchSettings()
    with pytest.raises(InputError, match="Nothing was set"):
        undo(tmp_path)
    first = SearchSettings(PROMPTS, "prompts.json", model="/models/mine")
    second = replace(first, weights={"global": 2.0, "entity": 0.0}, weights_from="fitted to 40 captions")
    for settings in (first, second, second):
        write_search_settings(tmp_path, settings)
        assert read_search_settings(tmp_path) == settings
    assert second.notes() == [
        "Prompts: prompts.json.", "Weights of the levels, where the request gives none: fitted to 40 captions.",
    ]  # fmt: skip
    assert undo(tmp_path) == first
    # Where the model lies is not gone back from.
    assert undo(tmp_path) == read_search_settings(tmp_path) == SearchSettings(model="/models/mine")
    with pytest.raises(InputError, match="Nothing was set"):
        undo(tmp_path)


def test_the_place_of_the_model_alone_is_no_setting(tmp_path: Path) -> None:
    write_search_settings(tmp_path, SearchSettings(model="/models/mine"))
    with pytest.raises(InputError, match="Nothing was set"):
        undo(tmp_path)


@pytest.mark.parametrize(
    "content", ["{", "{}", '{"format": 2, "settings": [{}]}', '{"format": 1, "settings": [{"x": 1}]}']
)
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / SETTINGS_FILE).write_text(content)
    with pytest.raises(LibraryError, match=f"{SETTINGS_FILE} cannot be read"):
        read_search_settings(tmp_path)
