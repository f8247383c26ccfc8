"""Nothing of a model folder is ever run: what the loaders are told, and what is refused before they start.

A folder from a hub may carry Python files, and configurations that name code: classes of its own (`auto_map`), modules
of other packages (`modules.json`), attention kernels of a hub. The loaders of transformers and sentence-transformers
run such code when they are told to trust it, and ask on the terminal when they are not told anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from quartet.errors import ModelError

SAFELY: Mapping[str, bool] = {"local_files_only": True, "trust_remote_code": False}
"""For every `from_pretrained`. False, not None: None asks on the terminal whether to run the folder's code."""

_OWN_MODULES = "sentence_transformers."


def refuse_code(folder: Path) -> None:
    """Raise ModelError if a configuration below `folder` names code that is neither transformers' nor PyTorch's.

    `auto_map` is let pass: with `SAFELY`, transformers takes its own class or refuses the model.
    """
    for path in sorted(folder.rglob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, RecursionError, ValueError):
            continue  # whoever needs the file says what is wrong with it
        if path.name == "modules.json" and isinstance(content, list):
            types = [str(module.get("type", "")) for module in content if isinstance(module, dict)]
        elif path.name == "router_config.json" and isinstance(content, dict):
            types = [str(name) for name in dict(content.get("types") or {}).values()]
        else:
            types = []
        foreign = [name for name in types if not name.startswith(_OWN_MODULES)]
        foreign += [value for name, value in _settings(content) if _names_code(name, value)]
        if foreign:
            raise ModelError(f"{path} contains code, which Quartet never runs: {foreign[0]!r}.")


def _settings(content: Any) -> Iterator[tuple[str, str]]:
    """All strings of a JSON value with the name that each has, however deep."""
    if isinstance(content, dict):
        for name, value in content.items():
            if isinstance(value, str):
                yield str(name), value
            else:
                yield from _settings(value)
    elif isinstance(content, list):
        for value in content:
            yield from _settings(value)


def _names_code(name: str, value: str) -> bool:
    if name.lstrip("_").startswith(("attn_implementation", "experts_implementation")):
        return "/" in value  # kernels of a hub
    if name in ("architecture", "timm_model_name", "hf_model_name"):
        return ":" in value  # timm and open_clip fetch "hf-hub:..." and read "local-dir:..."
    if name == "activation_function":
        return "." in value and not value.startswith("torch.nn.")
    return False
