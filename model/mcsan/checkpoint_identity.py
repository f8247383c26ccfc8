"""Which model a checkpoint is, read from its configuration alone: no network is loaded for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quartet.errors import ModelError

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
FORMAT = 1

BASELINE = "baseline"
"""The key of `CONFIG_FILE` that names a model of `model/baselines`; MCSAN has none."""


def fingerprint_of(config: Mapping[str, Any]) -> str:
    """Of the content of `CONFIG_FILE`, which names the hash of the weights, the parser and the sentence encoder."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def read_config(folder: Path) -> dict[str, Any]:
    """What a checkpoint says of itself. Raises ModelError for a folder that holds none."""
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise ModelError(
                f"{folder} is not a Quartet checkpoint: it has no {name}. Give a folder made by `quartet train`."
            )
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (RecursionError, ValueError) as error:
        raise ModelError(f"{folder / CONFIG_FILE} is not valid JSON: {error}") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT or "weights_sha256" not in config:
        raise ModelError(f"{folder / CONFIG_FILE} is not a checkpoint configuration of format {FORMAT}.")
    return config


def check_hash(path: Path, expected: str) -> None:
    """Raises ModelError for a file that is not the one whose SHA-256 is known."""
    found = file_hash(path)
    if found != expected:
        raise ModelError(
            f"{path} is damaged or does not belong to its config.json: its SHA-256 is {found}, expected "
            f"{expected}. Copy the checkpoint again."
        )


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
