"""How `--help` reads: paragraphs flow to the width of the terminal, and a flag shows no type."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class _Readable:
    """Mixed into Typer's commands and groups."""

    help: str | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Typer keeps the line breaks of a docstring and adds its own: short lines after long ones.
        self.help = flowing(self.help)

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            # `--strict <bool>` reads as if a value were to follow.
            if getattr(param, "is_flag", False) and param.metavar is None:
                param.metavar = ""
        return params


class ReadableCommand(_Readable, TyperCommand):
    """A command."""


class ReadableGroup(_Readable, TyperGroup):
    """A group of commands."""


def flowing(text: str | None) -> str | None:
    """`text` with a line for each of its paragraphs, which blank lines divide."""
    if text is None:
        return None
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))
