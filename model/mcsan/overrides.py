"""Single settings of a preset, changed by name: `model.dropout=0.3`; and what there is to change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import inf
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from model.mcsan.config import Preset
from quartet.errors import InputError

_PARTS = {"model": "model", "loss": "loss", "training": "train"}
"""What people call the parts of a preset, and its fields."""

_MAY_BE_NEGATIVE = {"model.head_bias"}
_AT_LEAST_ONE = {"frames", "heads", "epochs", "batch_size"}
_DERIVED = {"model.feature_dim", "model.word_dim", "model.sentence_dim", "model.words", "model.pair_kinds"}
"""Follow from the features, the sentence encoder, --glove, and the labelled frames of the demo."""


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
                full = f"{part}.{name}"
                found.append(Setting(full, getattr(config, name), _may_be(full, kind), text))
    return found


def override(preset: Preset, changes: Iterable[str]) -> Preset:
    """A preset with settings changed, each given as NAME=VALUE.

    Raises InputError for an unknown name, or a value of the wrong type or out of range.
    """
    known = {setting.name for setting in settings(preset)}
    for change in changes:
        name, equals, text = (piece.strip() for piece in change.partition("="))
        if not equals or name not in known:
            problem = f"unknown setting {name!r}" if equals else f"{change!r} is not NAME=VALUE"
            close = get_close_matches(name, known, 1)
            meant = f" Did you mean {close[0]}?" if close and equals else ""
            raise InputError(f"--set: {problem}.{meant} `quartet train --explain` lists the settings.")
        part, field = name.split(".")
        config = getattr(preset, _PARTS[part])
        value = _read(name, get_type_hints(type(config))[field], text)
        # Epochs that somebody asked for are the epochs that are trained.
        changed = {field: value} | ({"views": 0} if name == "training.epochs" else {})
        preset = replace(preset, **{_PARTS[part]: replace(config, **changed)})
    return preset


def _read(name: str, kind: Any, text: str) -> Any:
    choices = get_args(kind)
    low, high = _limits(name)
    try:
        if choices:
            value: Any = text if text in choices else None
        elif kind is bool:
            value = {"true": True, "on": True, "false": False, "off": False}[text.lower()]
        else:
            value = kind(text)
            value = value if low <= value < high else None
    except (ValueError, KeyError):
        value = None
    if value is None:
        raise InputError(f"--set: {name} cannot be {text!r}. It is {_may_be(name, kind)}.")
    return value


def _limits(name: str) -> tuple[float, float]:
    """The lowest number that a setting may be, and the number that it must be below."""
    field = name.split(".")[1]
    at_least_one = field in _AT_LEAST_ONE or field.endswith(("_dim", "_vocabulary", "_width"))
    low = -inf if name in _MAY_BE_NEGATIVE else 1 if at_least_one else 0
    return low, 1 if field.endswith("dropout") else inf


def _may_be(name: str, kind: Any) -> str:
    if choices := get_args(kind):
        return " or ".join(choices)
    if kind is bool:
        return "true or false"
    low, high = _limits(name)
    number = "a whole number" if kind is int else "a number"
    at_least = f" of at least {low}" if low > -inf else ""
    return number + at_least + (f" and below {high}" if high < inf else "")
