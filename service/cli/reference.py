"""The help of every command as one Markdown page: `python -m service.cli.reference docs/cli.md`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any

import typer

from service.cli import app

_INTRODUCTION = """# Command line

*For everyone who uses `quartet` in a terminal. At its end you have found the command and the option that you need.*

This page lists every command with its options, as `quartet COMMAND --help` shows them. For settings without an option,
see [settings.md](settings.md).

The page is generated: `python -m service.cli.reference docs/cli.md`. Exit codes: 0 done, 1 failed, 2 wrong usage.
"""


def page() -> str:
    """The whole page."""
    root: Any = typer.main.get_command(app)
    sections = [_section(name, command) for name, command in _commands(root, "quartet")]
    return "\n\n".join([_INTRODUCTION.rstrip(), *sections]) + "\n"


def _commands(group: Any, above: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        path = f"{above} {name}"
        yield path, command
        if hasattr(command, "commands"):
            yield from _commands(command, path)


def _section(name: str, command: Any) -> str:
    params = [one for one in command.params if not getattr(one, "hidden", False)]
    arguments = [one for one in params if one.param_type_name == "argument"]
    options = [one for one in params if one.param_type_name == "option"]
    usage = " ".join([name, *(["[OPTIONS]"] if options else []), *map(_usage, arguments)])
    parts = [f"## {name}", *_prose(command.help or "")]
    if hasattr(command, "commands"):
        parts.append("Commands: " + ", ".join(f"`{name} {one}`" for one in command.commands) + ".")
    else:
        parts.insert(1, f"    {usage}")
    rows = [*(_row(_usage(one), one) for one in arguments), *(_row(_flags(one), one) for one in options)]
    if rows:
        parts.append("\n".join(["| | |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _usage(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required else f"[{name}]"


def _flags(option: Any) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    metavar = "" if option.is_flag else option.metavar or option.name.upper()
    return f"{names} {metavar}".rstrip()


def _row(name: str, param: Any) -> str:
    text = _plain(getattr(param, "help", None) or "")
    default = param.default
    if param.show_default and default is not False and default not in (None, ()) and not callable(default):
        text = f"{text} Default: `{getattr(default, 'value', default)}`."
    return f"| `{name}` | {text.strip()} |"


def _prose(text: str) -> Iterator[str]:
    """Paragraphs; those in [dim] are examples to copy."""
    for paragraph in text.split("\n\n"):
        example = re.fullmatch(r"\[dim\](.*)\[/\]", paragraph)
        yield f"    {example[1]}" if example else fill(_plain(paragraph), 120, break_on_hyphens=False)


def _plain(text: str) -> str:
    """Rich's markup as Markdown; angle brackets and pipes as themselves."""
    return re.sub(r"\[bold\](.*?)\[/\]", r"**\1**", text).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
