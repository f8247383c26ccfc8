"""What a library remembers for its searches: prompts, weights of levels, parsers, folders of its models, precision.

`search_settings.json` is in the library's folder. Every change keeps what was set before, so that it can be undone.
What is set belongs to the model that it was set for: after a change of the model it waits for the way back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from indexer.disk.durable_files import replace_file, writing
from indexer.store.layout import exists, live_name
from indexer.store.manifest import Manifest
from model.encoder import QuerySettings
from model.precision import Precision
from quartet.errors import InputError, LibraryError

SETTINGS_FILE = "search_settings.json"
FORMAT = 2


@dataclass(frozen=True)
class SearchSettings:
    """What is set.

    prompts        templates by level (`QuerySettings`); {}: the model's
    prompts_from   where they come from, for people
    weights        of levels; {}: the model's
    weights_from   how they were found, for people
    parsers        spaCy pipelines by language (`QuerySettings`)
    """

    prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prompts_from: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    weights_from: str = ""
    parsers: Mapping[str, str] = field(default_factory=dict)

    @property
    def queries(self) -> QuerySettings:
        return QuerySettings(self.prompts, self.weights, self.parsers)

    def notes(self) -> list[str]:
        """What an answer says of them."""
        prompts = f"Prompts: {self.prompts_from}." if self.prompts else ""
        weights = f"Weights of the levels unless the request gives others: {self.weights_from}." if self.weights else ""
        return [note for note in (prompts, weights) if note]

    def describe(self) -> list[str]:
        """All that is set, a line each."""
        parsers = ", ".join(f"{language} {pipeline}" for language, pipeline in self.parsers.items())
        return [*self.notes(), *([f"Parsers: {parsers}."] if parsers else [])]


@dataclass(frozen=True)
class _File:
    """settings: for the model with a fingerprint, the latest first; folders: of models, by fingerprint; precision: what
    a CPU computes them in.

    An earlier version did not note the model: its settings, with the fingerprint "", belong to whichever there is.
    """

    settings: list[tuple[str, SearchSettings]]
    folders: dict[str, str]
    precision: Precision = "float32"

    def of(self, fingerprint: str) -> list[SearchSettings]:
        return [own for model, own in self.settings if model in (fingerprint, "")]

    def without(self, fingerprint: str) -> list[tuple[str, SearchSettings]]:
        return [(model, own) for model, own in self.settings if model not in (fingerprint, "")]


def read_search_settings(library: Path, fingerprint: str | None = None) -> SearchSettings:
    """What a library has set for a model, without `fingerprint` for the one that answers; nothing where it has no such
    file. Raises LibraryError for a file that is damaged."""
    return next(iter(_read(library).of(_model(library, fingerprint))), SearchSettings())


def write_search_settings(library: Path, settings: SearchSettings) -> None:
    """Set something else, and keep what was set before for `undo`. Raises LibraryError if it cannot be written."""
    known, model = _read(library), _model(library)
    own = known.of(model)
    before = own or [SearchSettings()]
    if settings != before[0]:
        _write(library, replace(known, settings=[*_for(model, [settings, *before]), *known.without(model)]))


def undo(library: Path) -> SearchSettings:
    """Set what was set before the last change, and return it. Raises InputError where there was none."""
    known, model = _read(library), _model(library)
    _, *before = known.of(model) or [SearchSettings()]
    if not before:
        raise InputError(f"The library {library} has no search settings to undo.")
    _write(library, replace(known, settings=[*_for(model, before), *known.without(model)]))
    return before[0]


def claim_search_settings(library: Path, fingerprint: str) -> None:
    """Before the model changes: what an earlier version has set belongs to the previous model."""
    known = _read(library)
    if any(not model for model, _ in known.settings) or "" in known.folders:
        folders = {model or fingerprint: folder for model, folder in known.folders.items()}
        own = [(model or fingerprint, own) for model, own in known.settings]
        _write(library, replace(known, settings=own, folders=folders))


def model_folder(library: Path, fingerprint: str) -> str | None:
    """Where the folder of a model is that was given as a folder."""
    folders = _read(library).folders
    return folders.get(fingerprint, folders.get(""))


def note_model_folder(library: Path, fingerprint: str, folder: str) -> None:
    known = _read(library)
    if known.folders.get(fingerprint) != folder:
        _write(library, replace(known, folders={**known.folders, fingerprint: folder}))


def library_precision(library: Path) -> Precision:
    """What a CPU computes the models of a library in."""
    return _read(library).precision


def note_precision(library: Path, precision: Precision) -> None:
    known = _read(library)
    if known.precision != precision:
        _write(library, replace(known, precision=precision))


def _model(library: Path, fingerprint: str | None = None) -> str:
    """The fingerprint of the model that answers, where none is given."""
    if fingerprint is not None or not exists(library):
        return fingerprint or ""
    return Manifest.read(library / "generations" / live_name(library) / "manifest.json").model.fingerprint


def _for(model: str, settings: list[SearchSettings]) -> list[tuple[str, SearchSettings]]:
    return [(model, own) for own in settings]


def _read(library: Path) -> _File:
    path = library / SETTINGS_FILE
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        if content["format"] not in (1, FORMAT):
            raise ValueError(f"its format is {content['format']}, not {FORMAT}")
        if content["format"] == FORMAT and text != _text({k: v for k, v in content.items() if k != "checksum"}):
            raise ValueError("it has changed since Quartet wrote it")
        entries = content["settings"]
        folders = dict(content.get("folders", {}))
        if content["format"] == 1 and (latest := entries[0].get("model")):
            folders[""] = latest
        return _File([_entry(entry) for entry in entries], folders, content.get("precision", "float32"))
    except FileNotFoundError:
        return _File([], {})
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise LibraryError(
            f"{path} cannot be read: {error}. Delete it to search with the model's own settings."
        ) from error


def _entry(entry: dict[str, Any]) -> tuple[str, SearchSettings]:
    values = {key: value for key, value in entry.items() if key not in ("model", "fingerprint")}
    read = SearchSettings(**values)
    prompts = {level: tuple(templates) for level, templates in read.prompts.items()}
    return str(entry.get("fingerprint", "")), replace(read, prompts=prompts)


def _text(content: dict[str, Any]) -> str:
    """The content of the file with a checksum of itself, by which any changed byte is noticed."""
    checksum = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({**content, "checksum": checksum}, indent=1, sort_keys=True) + "\n"


def _write(library: Path, file: _File) -> None:
    settings = [{"fingerprint": model, **asdict(own)} for model, own in file.settings]
    content = {"format": FORMAT, "folders": file.folders, "precision": file.precision, "settings": settings}
    with writing(library):
        replace_file(library / SETTINGS_FILE, _text(json.loads(json.dumps(content))).encode())
