"""A trained MCSAN on disk. A model with a word embedding of its own also has `words.json`, the list of its words in the
order of the rows, and its SHA-256 in `config.json`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model.json_config import from_json
from model.mcsan.checkpoint_files import Checkpoint, read_checkpoint, write_checkpoint
from model.mcsan.checkpoint_identity import BASELINE, check_hash, file_hash
from model.mcsan.config import ModelConfig
from model.mcsan.network import MCSAN
from model.two_tower.prepared_models import MODELS_FOLDER
from quartet.errors import ModelError

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

WORDS_FILE = "words.json"


def save_checkpoint(folder: Path, checkpoint: Checkpoint[MCSAN]) -> str:
    """Write a checkpoint and return its fingerprint. The folder is made; an older checkpoint in it is replaced."""
    described: dict[str, Any] = {"model": asdict(checkpoint.model.config)}
    if checkpoint.model.text.embedding is not None:
        folder.mkdir(parents=True, exist_ok=True)
        words = json.dumps(checkpoint.model.text.embedding.vocabulary, indent=0, ensure_ascii=False)
        (folder / WORDS_FILE).write_text(words + "\n", encoding="utf-8")
        described["words_sha256"] = file_hash(folder / WORDS_FILE)
    return write_checkpoint(folder, checkpoint, described)


def load_checkpoint(folder: Path, models: Path = MODELS_FOLDER) -> Checkpoint[MCSAN]:
    """Read a checkpoint, in eval mode on the CPU. Raises ModelError as `read_checkpoint` does."""

    def build(config: dict[str, Any]) -> MCSAN:
        if BASELINE in config:
            raise ModelError(f"The checkpoint {folder} holds the baseline {config[BASELINE]}, not MCSAN.")
        words = _read_words(folder, config.get("words_sha256"))
        sizes = {k: max(1, len(v)) for k, v in config["vocabularies"].items()}
        return MCSAN(from_json(ModelConfig, config["model"]), sizes, words)

    return read_checkpoint(folder, models, build)


def _read_words(folder: Path, expected: str | None) -> list[str]:
    if expected is None:
        return []
    path = folder / WORDS_FILE
    if not path.is_file():
        raise ModelError(f"The checkpoint {folder} has lost its {WORDS_FILE}. Copy the checkpoint again.")
    check_hash(path, expected)
    return json.loads(path.read_text(encoding="utf-8"))
