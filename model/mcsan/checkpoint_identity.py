"""Which model a checkpoint is, read from its configuration alone: no network is loaded for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

CONFIG_FILE = "config.json"

BASELINE = "baseline"
"""The key of `CONFIG_FILE` that names a model of `model/baselines`; MCSAN has none."""


def fingerprint_of(config: Mapping[str, Any]) -> str:
    """Of the content of `CONFIG_FILE`, which names the hash of the weights, the parser and the sentence encoder."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]
