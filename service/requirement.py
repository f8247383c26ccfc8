"""What is wrong with a value that Pydantic refuses, in words that a person understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_REQUIRED: Mapping[str, str] = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "greater_than": "must be more than {gt}",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "has too many digits",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "string_too_long": "may have at most {max_length} characters",
    "string_too_short": "is too short: at least {min_length} characters are needed",
    "string_pattern_mismatch": "must have the form {pattern}",
    "list_type": "must be a list",
    "dict_type": "must be a JSON object",
    "too_long": "may have at most {max_length} items",
    "too_short": "must have at least {min_length} items",
    "missing": "is missing",
    "extra_forbidden": "is not a field of this request",
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
}
"""By Pydantic's type of error."""


def requirement(error: Mapping[str, Any]) -> str | None:
    """What an error of Pydantic asks for, to stand behind the name of the value; None if it has no words here."""
    context = error.get("ctx", {})
    if error["type"] in ("string_too_short", "too_short") and context.get("min_length") == 1:
        return "must not be empty"
    if context.get("pattern") == r"\S":
        return "must contain more than spaces"
    words = _REQUIRED.get(error["type"])
    return None if words is None else words.format(**context)
