"""What a library remembers for its searches: prompts, weights of levels, and the folder of its model.

`search_settings.json` lies in the library's folder. Every change keeps what was set before, so that it can be undone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from indexer.disk.durable_files import replace_file, writing
from model.encoder import QuerySettings
from quartet.errors import InputError, LibraryError

SETTINGS_FILE = "search_settings.json"
FORMAT = 1


@dataclass(frozen=True)
class SearchSettings:
    """What is set.

    prompts        templates by level (`QuerySettings`); {}: the model's
    prompts_from   where they come from, for people
    weights        of levels; {}: the model's
    weights_from   how they were found, for people
    model          the folder of the model that made the library; None: it has a name
    """

    prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prompts_from: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    weights_from: str = ""
    model: str | None = None

    @property
    def queries(self) -> QuerySettings:
        return QuerySettings(self.prompts, self.weights)

    def notes(self) -> list[str]:
        """What an answer says of them."""
        prompts = f"Prompts: {self.prompts_from}." if self.prompts else ""
        weights = f"Weights of the levels, where the request gives none: {self.weights_from}." if self.weights else ""
        return [note for note in (prompts, weights) if note]


def read_search_settings(library: Path) -> SearchSettings:
    """What a library has set; nothing where it has no such file. Raises LibraryError for a file that is damaged."""
    return _read(library)[0]


def write_search_settings(library: Path, settings: SearchSettings) -> None:
    """Set something else, and keep what was set before for `undo`. Raises LibraryError if it cannot be written."""
    now, before = _read(library)
    if settings != now:
        # Which model made the library is no setting to go back from.
        _write(library, [settings, now, *before] if settings.prompts or settings.weights or before else [settings])


def undo(library: Path) -> SearchSettings:
    """Set what was set before the last change, and return it. Raises InputError where there was none."""
    now, before = _read(library)
    if not before:
        raise InputError(f"Nothing was set for the searches of {library} that could be undone.")
    back = replace(before[0], model=now.model)
    _write(library, [back, *before[1:]])
    return back


def _read(library: Path) -> tuple[SearchSettings, list[SearchSettings]]:
    """What is set, and what was before, the latest first."""
    path = library / SETTINGS_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']}, not {FORMAT}")
        known = [_from_json(entry) for entry in content["settings"]]
        return known[0], known[1:]
    except FileNotFoundError:
        return SearchSettings(), []
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise LibraryError(
            f"{path} cannot be read: {error}. Delete it to search with the model's own settings."
        ) from error


def _from_json(entry: dict[str, object]) -> SearchSettings:
    read = SearchSettings(**entry)  # type: ignore[arg-type]
    return replace(read, prompts={level: tuple(templates) for level, templates in read.prompts.items()})


def _write(library: Path, settings: list[SearchSettings]) -> None:
    content = {"format": FORMAT, "settings": [asdict(entry) for entry in settings]}
    with writing(library):
        replace_file(library / SETTINGS_FILE, (json.dumps(content, indent=1) + "\n").encode())
