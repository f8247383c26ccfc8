"""Published models on this machine: where `quartet prepare` keeps them, and what it notes of each.

MODELS/sentence-transformers--clip-ViT-B-32/
  config.json, model.safetensors, ...    as published
  prepared.json                          name, repository, revision, SHA-256 of every file
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from model.home_folder import expand_home
from model.speech import holds_whisper
from quartet.errors import InputError, ModelError

MODELS_FOLDER = Path("~/.cache/quartet/models")
"""Where models are kept unless the settings name another folder."""

DEFAULT_MODEL = "clip-ViT-B-32"
PARTNERS = {"clip-ViT-B-32-multilingual-v1": DEFAULT_MODEL}
"""Models of texts alone, and whose pictures they were trained for (`text_partner.py`)."""

SPEECH = {
    f"faster-whisper-{size}": f"Systran/faster-whisper-{size}" for size in ("base", "small", "medium", "large-v3")
}
"""Models of speech (`model/speech.py`)."""

KNOWN = {
    **{name: f"sentence-transformers/{name}" for name in (DEFAULT_MODEL, "clip-ViT-B-16", "clip-ViT-L-14", *PARTNERS)},
    **SPEECH,
}
"""Short names. Any other model is named by its repository, such as google/siglip-base-patch16-224."""

RECORD = "prepared.json"
FORMAT = 1


@dataclass(frozen=True)
class Record:
    """What was fetched: `repository` at the commit `revision`, and the SHA-256 of each file by its path.

    `sentences` is a model that reads captions (`--sentence-model`) and sees no pictures.
    """

    name: str
    repository: str
    revision: str
    files: Mapping[str, str]
    format: int = FORMAT
    sentences: bool = False


def prepared_folder(models: Path, name: str) -> Path:
    """Where a model of this name is kept, whether or not it is there. It may be a short name or a repository."""
    return expand_home(models, "QUARTET_MODELS") / KNOWN.get(name, name).replace("/", "--")


def find_prepared(models: Path, name: str) -> Path | None:
    """The folder of a prepared model, or None: also where no folder of models is known (`model.home_folder`)."""
    try:
        folder = prepared_folder(models, name)
    except InputError:
        return None
    return folder if (folder / RECORD).is_file() else None


def prepared_names(models: Path) -> list[str]:
    """The names of all models of two towers that are prepared, in order."""
    try:
        folder = expand_home(models, "QUARTET_MODELS")
    except InputError:
        return []
    prepared = [path.parent for path in folder.glob(f"*/{RECORD}")]
    records = [read_record(path) for path in prepared if not holds_whisper(path)]
    return sorted(record.name for record in records if not record.sentences)


def write_record(folder: Path, record: Record) -> None:
    (folder / RECORD).write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")


def read_record(folder: Path) -> Record:
    """Raises ModelError for a record that is damaged or of a newer format."""
    path = folder / RECORD
    try:
        record = Record(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path} cannot be read: {error}. Delete {folder} and run `quartet prepare` again.") from error
    if record.format != FORMAT:
        raise ModelError(f"{path} has format {record.format}, not {FORMAT}. Delete {folder} and prepare it again.")
    return record


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder that can change what a model does, by path, in order.

    Where the folder has a record, the files must be those that it names: raises ModelError with the first one that
    is missing, damaged or new.
    """
    hashes = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name.startswith(".") or path.suffix == ".md" or name == RECORD:
            continue
        with path.open("rb") as file:
            hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
    if (folder / RECORD).is_file():
        record = read_record(folder)
        differing = sorted(set(hashes.items()) ^ set(record.files.items()))
        if differing:
            raise ModelError(
                f"{folder / differing[0][0]} has changed since it was fetched. Delete {folder} and run: "
                f"quartet prepare {record.name} --revision {record.revision}"
            )
    return hashes


def digest(hashes: Mapping[str, str]) -> str:
    """One SHA-256 of the hashes of all files of a folder."""
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()
