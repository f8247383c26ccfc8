"""How `--help` reads: paragraphs flow to the width of the terminal, and a flag shows no type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class _Readable:
    """Mixed into Typer's commands and groups."""

    help: str | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Typer keeps the line breaks of a docstring and adds its own: short lines after long ones.
        self.help = flowing(self.help)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuses an empty path, as of a variable that is not set: Path("") would be the current folder."""
        blank = any(not arg or (arg.startswith("--") and arg.endswith("=")) for arg in args)
        left: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        if blank and "." not in args:
            for param in ctx.command.params:
                value = ctx.params.get(param.name)
                if Path() in (value if isinstance(value, list | tuple) else (value,)):
                    raise typer.BadParameter("The path is empty.", ctx=ctx, param=param)
        return left

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
