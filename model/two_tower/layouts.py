"""How the folder of a model is laid out, by its small files alone: nothing is loaded.

transformers            config.json names the class; a sentence-transformers folder around one counts as it
open_clip               open_clip_config.json
sentence-transformers   modules.json around a model that reads texts and pictures in one network
partners                folders `pictures` and `texts`: a two-tower model, and a model of texts for its pictures
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

OPEN_CLIP_CONFIG = "open_clip_config.json"

_SEEING = {"vision_config", "image_config", "video_config"}

PICTURES, TEXTS = "pictures", "texts"
"""Folders of two models that were trained for each other (`text_partner.py`)."""

Library = Literal["transformers", "open_clip", "sentence-transformers", "partners"]


@dataclass(frozen=True)
class Layout:
    """Which library reads a folder, and the folder that it reads: the one given, or a module of it."""

    library: Library
    folder: Path


def find_layout(folder: Path) -> Layout | None:
    """The layout of a folder; None where it holds nothing of the kind, such as a checkpoint of `quartet train`.

    Where a folder has several, that of transformers counts: it needs no other package.
    """
    if (folder / TEXTS / "modules.json").is_file() and (folder / PICTURES).is_dir():
        return Layout("partners", folder)
    listed = read_json(folder / "modules.json")
    modules = [module for module in listed if isinstance(module, dict)] if isinstance(listed, list) else []
    # Pooling makes one vector of the tokens of one network; towers have each made theirs.
    if any(str(module.get("type", "")).endswith(".Pooling") for module in modules):
        return Layout("sentence-transformers", folder)
    for place in (folder, *(folder / str(module.get("path", "")) for module in modules)):
        if _has_two_configs(place / "config.json"):
            return Layout("transformers", place)
    if (folder / OPEN_CLIP_CONFIG).is_file():
        return Layout("open_clip", folder)
    if modules:
        return Layout("sentence-transformers", folder)
    config = read_json(folder / "config.json")
    return Layout("transformers", folder) if isinstance(config, dict) and "model_type" in config else None


def is_sentence_transformer(folder: Path) -> bool:
    """Whether a folder is laid out as sentence-transformers does, whatever the model reads."""
    return (folder / "modules.json").is_file()


def read_json(path: Path) -> Any:
    """The content of a JSON file; None where there is none or it is not valid."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError):
        return None


def _has_two_configs(path: Path) -> bool:
    config = read_json(path)
    return isinstance(config, dict) and "text_config" in config and bool(_SEEING & set(config))
