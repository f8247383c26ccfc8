"""Configuration dataclasses from their JSON form, checked against their types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_args, get_type_hints

from quartet.errors import InputError

T = TypeVar("T")


def from_json(kind: type[T], data: Mapping[str, Any]) -> T:
    """A configuration dataclass from its JSON form. Raises InputError that names an unknown or ill-typed field."""
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(data) - known)
    if unknown:
        raise InputError(f"{kind.__name__} has no field {unknown[0]!r}. Known fields: {', '.join(sorted(known))}.")
    hints = get_type_hints(kind)
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in data.items()}
    for name, value in values.items():
        allowed = get_args(hints[name])
        literal = allowed and all(isinstance(a, str) for a in allowed)
        if literal and value not in allowed:
            raise InputError(f"{kind.__name__}.{name} must be one of {', '.join(allowed)}, not {value!r}.")
        if isinstance(hints[name], type) and not isinstance(value, (hints[name], int)):
            raise InputError(f"{kind.__name__}.{name} must be of type {hints[name].__name__}, not {value!r}.")
    return kind(**values)
