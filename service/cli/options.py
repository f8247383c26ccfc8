"""Options and helpers that several commands share. Light to import."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from service.settings import Settings

LibraryOption = Annotated[
    Path | None,
    typer.Option("--library", "-l", help="Folder of the library. Default: QUARTET_LIBRARY.", show_default=False),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Name of a model, or folder of a checkpoint. Default: QUARTET_MODEL, else the model that built "
        "the library.",
        show_default=False,
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", help="auto, cpu, cuda or cuda:N. Default: QUARTET_DEVICE, else auto.", show_default=False),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="Number format of networks on a CPU: auto, float32 or bf16. Default: QUARTET_PRECISION, else "
        "auto: the precision of the library; bf16 for a new library if the processor supports it.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, as the API returns it.")]
LineOption = Annotated[bool, typer.Option("--json", help="Print a line of JSON.")]
CountOption = Annotated[int, typer.Option("-k", min=1, max=100, help="How many hits to show.")]


def parse_weights(text: str) -> dict[str, float]:
    """`entity=2,action=1` as a dict. Raises a usage error for anything else."""
    from model.levels import LEVEL_NAMES, WORDS

    known = (*LEVEL_NAMES, WORDS)
    weights = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name not in known:
            raise typer.BadParameter(f"{name!r} is not a level. The levels are: {', '.join(known)}.")
        try:
            weights[name] = float(value)
        except ValueError:
            raise typer.BadParameter(f"{part.strip()!r} must have the form LEVEL=NUMBER.") from None
        if not 0 <= weights[name] < math.inf:
            raise typer.BadParameter(f"{part.strip()!r}: a weight must be a number of at least 0.")
    return weights


WeightsOption = Annotated[
    # Typer gives what the parser returns; the annotation is what a function receives.
    Any,
    typer.Option(
        parser=parse_weights,
        metavar="LEVEL=NUMBER,...",
        help="Weights of the levels, for example entity=2,action=1. Other levels keep the model's weight.",
        show_default=False,
    ),
]


def parse_root(text: str) -> tuple[str, Path]:
    """`films=/media/films` as a pair. Raises a usage error for anything else."""
    name, _, path = text.partition("=")
    if not name.strip() or not path.strip():
        raise typer.BadParameter(f"{text!r} must have the form NAME=PATH.")
    return name.strip(), Path(path.strip())


RootOption = Annotated[
    # As above. A list, since the option may be given again and again.
    list[Any] | None,
    typer.Option(
        "--root",
        parser=parse_root,
        metavar="NAME=PATH",
        help="Folder of a named root on this machine. Repeat it for more roots. Default: QUARTET_ROOTS.",
        show_default=False,
    ),
]


def roots_of(given: list[tuple[str, Path]] | None) -> dict[str, Path] | None:
    """The roots that were given as options, for `settings_of`."""
    return dict(given) if given else None


def settings_of(**given: Any) -> Settings:
    """The settings: options that were given, else the environment, else the defaults. Raises InputError."""
    from pydantic import ValidationError

    from quartet.errors import InputError
    from service.settings import Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        raise InputError(f"The setting QUARTET_{str(first['loc'][0]).upper()} cannot be used: {reason}.") from None


def library_of(settings: Settings) -> Path:
    """The library of `settings`, or a usage error."""
    if settings.library is None:
        raise typer.BadParameter("Name the library, here or in QUARTET_LIBRARY.", param_hint="--library")
    return settings.library


def existing_library(settings: Settings) -> Path:
    """The library of `settings`, opened before a model is loaded for it. Raises LibraryError."""
    from indexer.store.layout import require_library

    folder = library_of(settings)
    require_library(folder)
    return folder


CacheOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder for encoded captions. Default: QUARTET_TEXT_CACHE, else ~/.cache/quartet.", show_default=False
    ),
]

# Columns that no row of a table needs.
MAX_WIDTH = 10_000


def let_threads_sleep() -> None:
    """Let PyTorch's threads sleep while they wait for each other, unless OMP_WAIT_POLICY says otherwise.

    Call it before PyTorch is imported: its OpenMP library reads the environment once, as it is loaded. By default the
    threads spin, which is a little faster on an idle machine and takes up to ten times as long on a busy one.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def counted(number: int, thing: str) -> str:
    """`1 clip`, `2 clips`: in bold where markup counts."""
    return f"[bold]{number}[/] {thing}" + ("" if number == 1 else "s")


def console() -> Console:
    """Where tables go: as wide as the terminal. A file or a pipe gets a line per row, so that paths can be searched."""
    out = Console()
    return out if out.is_terminal else Console(width=MAX_WIDTH)
