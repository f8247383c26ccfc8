"""What a library remembers for its searches: kept, undone, and named where it is damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.store.library import Library
from indexer.store.search_settings import (
    SETTINGS_FILE,
    SearchSettings,
    claim_search_settings,
    library_precision,
    model_folder,
    note_model_folder,
    note_precision,
    read_search_settings,
    undo,
    write_search_settings,
)
from indexer.store.verification import verify_library
from model.fake_encoder import FakeEncoder
from quartet.errors import InputError, LibraryError

PROMPTS = {"entity": ("a photo of {}", "a close-up of {}")}
FIRST = SearchSettings(PROMPTS, "prompts.json")


def test_the_precision_is_no_setting_to_go_back_from(tmp_path: Path) -> None:
    assert library_precision(tmp_path) == "float32"
    note_precision(tmp_path, "bf16")
    with pytest.raises(InputError, match="no search settings to undo"):
        undo(tmp_path)
    write_search_settings(tmp_path, FIRST)
    undo(tmp_path)
    claim_search_settings(tmp_path, "before")
    note_model_folder(tmp_path, "a model", "/models/mine")
    assert library_precision(tmp_path) == "bf16"


def test_every_change_can_be_undone(tmp_path: Path) -> None:
    assert read_search_settings(tmp_path) == SearchSettings()
    with pytest.raises(InputError, match="no search settings to undo"):
        undo(tmp_path)
    second = replace(FIRST, weights={"global": 2.0, "entity": 0.0}, weights_from="fitted to 40 captions")
    for settings in (FIRST, second, second):
        write_search_settings(tmp_path, settings)
        assert read_search_settings(tmp_path) == settings
    assert second.notes() == [
        "Prompts: prompts.json.", "Weights of the levels unless the request gives others: fitted to 40 captions.",
    ]  # fmt: skip
    assert undo(tmp_path) == FIRST
    assert undo(tmp_path) == read_search_settings(tmp_path) == SearchSettings()
    with pytest.raises(InputError, match="no search settings to undo"):
        undo(tmp_path)


def test_the_place_of_a_model_is_no_setting(tmp_path: Path) -> None:
    note_model_folder(tmp_path, "one", "/models/mine")
    note_model_folder(tmp_path, "two", "/models/other")
    assert (model_folder(tmp_path, "one"), model_folder(tmp_path, "three")) == ("/models/mine", None)
    with pytest.raises(InputError, match="no search settings to undo"):
        undo(tmp_path)


def test_settings_belong_to_the_model_that_they_were_made_for(tmp_path: Path) -> None:
    Library.create(tmp_path, FakeEncoder().spec).close()
    write_search_settings(tmp_path, FIRST)
    assert read_search_settings(tmp_path, "fake-0-16") == read_search_settings(tmp_path) == FIRST
    assert read_search_settings(tmp_path, "fake-1-24") == SearchSettings()


def test_a_file_of_an_earlier_version_belongs_to_the_model_before_a_change(tmp_path: Path) -> None:
    entry = {"prompts": {"entity": ["a {}"]}, "prompts_from": "p", "weights": {}, "weights_from": "", "model": "/mine"}
    (tmp_path / SETTINGS_FILE).write_text(json.dumps({"format": 1, "settings": [entry]}))
    known = SearchSettings({"entity": ("a {}",)}, "p")
    assert read_search_settings(tmp_path, "any") == known and model_folder(tmp_path, "any") == "/mine"
    claim_search_settings(tmp_path, "before")
    assert read_search_settings(tmp_path, "before") == known and model_folder(tmp_path, "before") == "/mine"
    assert read_search_settings(tmp_path, "after") == SearchSettings() and model_folder(tmp_path, "after") is None


@pytest.mark.parametrize(
    "content", ["{", "{}", '{"format": 3, "settings": [{}]}', '{"format": 1, "settings": [{"x": 1}]}']
)
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / SETTINGS_FILE).write_text(content)
    with pytest.raises(LibraryError, match=f"{SETTINGS_FILE} cannot be read"):
        read_search_settings(tmp_path)


def test_every_changed_byte_is_found(tmp_path: Path) -> None:
    Library.create(tmp_path, FakeEncoder().spec).close()
    write_search_settings(tmp_path, FIRST)
    file = tmp_path / SETTINGS_FILE
    sound = file.read_bytes()
    assert verify_library(tmp_path) == []
    for place in range(len(sound)):
        file.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        with pytest.raises(LibraryError, match=f"{SETTINGS_FILE} cannot be read"):
            read_search_settings(tmp_path, "")
    assert [problem.where for problem in verify_library(tmp_path)] == ["settings"]
