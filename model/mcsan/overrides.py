"""Single settings of a preset, changed by name: `model.dropout=0.3`; and what there is to change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from model.mcsan.config import Preset
from quartet.errors import InputError

_PARTS = {"model": "model", "loss": "loss", "training": "train"}
"""What people call the parts of a preset, and its fields."""

_MAY_BE_NEGATIVE = {"model.head_bias"}
_AT_LEAST_ONE = {"frames", "heads", "epochs", "batch_size"}
_DERIVED = {"model.feature_dim", "model.word_dim", "model.sentence_dim", "model.words"}
"""Follow from the features, the sentence encoder and --glove."""


@dataclass(frozen=True)
class Setting:
    """One field of a preset: its dotted name, its value, what it may be, and what it does."""

    name: str
    value: Any
    kind: str
    help: str


def settings(preset: Preset) -> list[Setting]:
    """Every setting of a preset that can be changed, in the order of the configuration."""
    found = []
    for part, field in _PARTS.items():
        config = getattr(preset, field)
        for name, hint in get_type_hints(type(config), include_extras=True).items():
            if f"{part}.{name}" not in _DERIVED:
                kind, text = get_args(hint) if get_origin(hint) is Annotated else (hint, "")
                found.append(Setting(f"{part}.{name}", getattr(config, name), _kind_name(kind), text))
    return found


def override(preset: Preset, changes: Iterable[str]) -> Preset:
    """A preset with settings changed, each given as NAME=VALUE.

    Raises InputError for an unknown name, or a value of the wrong type or out of range.
    """
    known = {setting.name for setting in settings(preset)}
    for change in changes:
        name, equals, text = (piece.strip() for piece in change.partition("="))
        if not equals or name not in known:
            problem = f"{change!r} is not NAME=VALUE" if not equals else f"unknown setting {name!r}"
            raise InputError(f"--set: {problem}. `quartet train --explain` lists the settings.")
        part, field = name.split(".")
        config = getattr(preset, _PARTS[part])
        value = _read(name, get_type_hints(type(config))[field], text)
        preset = replace(preset, **{_PARTS[part]: replace(config, **{field: value})})
    return preset


def _read(name: str, kind: Any, text: str) -> Any:
    field = name.split(".")[1]
    choices = get_args(kind)
    try:
        if choices:
            value: Any = text if text in choices else None
        elif kind is bool:
            value = {"true": True, "on": True, "false": False, "off": False}[text.lower()]
        else:
            value = kind(text)
            low = 1 if field in _AT_LEAST_ONE or field.endswith(("_dim", "_vocabulary", "_width")) else 0
            high = 1 if field.endswith("dropout") else float("inf")
            value = value if (name in _MAY_BE_NEGATIVE or low <= value) and value < high else None
    except (ValueError, KeyError):
        value = None
    if value is None:
        raise InputError(f"--set: {name} cannot be {text!r}. It is {_kind_name(kind)}.")
    return value


def _kind_name(kind: Any) -> str:
    choices = get_args(kind)
    if choices:
        return " or ".join(choices)
    return {bool: "true or false", int: "a whole number", float: "a number"}[kind]
