"""`quartet verify` and `quartet repair`: finding what is wrong with a library, and making it whole."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.cli import remote
from service.cli.options import (
    DeviceOption,
    LibraryOption,
    LineOption,
    ModelOption,
    RootOption,
    console,
    counted,
    library_of,
    roots_of,
    settings_of,
)
from service.cli.remote import ServerOption, asked

if TYPE_CHECKING:
    from indexer.repair.library_repair import RepairReport
    from indexer.store.verification import Problem
    from quartet.schemas.jobs import LibraryProblem, Repaired

_MAX_LINES = 40
"""Lines that are shown on a terminal."""


def verify(
    library: LibraryOption = None,
    root: RootOption = None,
    content: Annotated[bool, typer.Option("--content", help="Also read the videos and compare their hashes.")] = False,
    as_json: LineOption = False,
    server: ServerOption = None,
) -> None:
    """Check a library: the checksums of its files, the index against the catalogue, the catalogue against the videos.

    Exit code 1 if something is wrong; `quartet repair` then restores what it can. Videos are compared by size and
    modification time, with --content by hash.

    [dim]quartet verify --library my-library[/]
    """
    out = Console(stderr=True) if as_json else console()
    problems: Sequence[Problem | LibraryProblem]
    if server is not None:
        with asked(server, library=library, root=root, json=as_json) as client:
            found = remote.finished(client, client.verify(content)).verification
        assert found is not None
        name, problems = "The library of the service", found.problems
    else:
        settings = settings_of(library=library, roots=roots_of(root))
        folder = library_of(settings)

        from indexer.store.verification import verify_library

        with out.status("Checking"):
            name, problems = str(folder), verify_library(folder, settings.roots, content)
    if as_json:
        listed = [{"where": problem.where, "detail": problem.detail} for problem in problems]
        typer.echo(json.dumps({"event": "verification", "problems": listed}))
        raise typer.Exit(1 if problems else 0)
    if not problems:
        out.print(
            f"{escape(name)} is in order: no file is damaged, index and catalogue agree, and every "
            "video is in its place.",
            highlight=False,
        )
        return
    table = Table(title=counted(len(problems), "problem"), title_justify="left", title_style="red")
    table.add_column("where", no_wrap=True)
    table.add_column("what", overflow="fold")
    # A folder that has gone is a problem of each of its videos: a terminal gets the first, a file gets all.
    shown = problems[:_MAX_LINES] if out.is_terminal else problems
    for problem in shown:
        table.add_row(problem.where, escape(problem.detail))
    for where, count in Counter(problem.where for problem in problems[len(shown) :]).items():
        table.add_row(where, f"and {count} more; `quartet verify ... > FILE` lists them all.")
    out.print(table, highlight=False)
    if any(problem.where != "videos" for problem in problems):
        out.print("Run `quartet repair` to restore what can be restored.", highlight=False)
    raise typer.Exit(1)


def repair(
    library: LibraryOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    root: RootOption = None,
    accept_catalogue: Annotated[
        bool,
        typer.Option(
            "--accept-catalogue",
            help="Accept a catalogue that another program has changed.",
        ),
    ] = False,
    as_json: LineOption = False,
    server: ServerOption = None,
) -> None:
    """Restore what is damaged or missing in a library, and list what is lost.

    Pictures, codes, indices and manifests are rebuilt from the catalogue, the vectors and the videos. Only lost
    vectors are encoded again. A lost catalogue cannot be rebuilt: restore it from a backup first; this command then
    makes index and catalogue agree. Exit code 1 if something is lost.

    [dim]quartet repair --library my-library[/]
    """
    out = Console(stderr=True) if as_json else console()
    report: RepairReport | Repaired
    if server is not None:
        with asked(server, library=library, model=model, device=device, root=root, json=as_json) as client:
            found = remote.finished(client, client.repair(accept_catalogue)).repair
        assert found is not None
        name, report = "The library of the service", found
    else:
        settings = settings_of(library=library, model=model, device=device, roots=roots_of(root))
        folder = library_of(settings)

        from indexer.repair.library_repair import repair_library
        from service.encoders.model_choice import encoder_at_hand

        name = str(folder)
        with out.status("Repairing"):
            report = repair_library(folder, partial(encoder_at_hand, settings), settings.roots, accept_catalogue)
    if as_json:
        typer.echo(json.dumps({"event": "repair", **asdict(cast("RepairReport", report))}))
        raise typer.Exit(1 if report.lost else 0)
    for title, lines in (("", report.healed), ("[red]Lost:[/] ", report.lost)):
        shown = lines[:_MAX_LINES] if out.is_terminal else lines
        for line in shown:
            out.print(title + escape(line), highlight=False)
        if len(lines) > len(shown):
            out.print(f"{title}and {len(lines) - len(shown)} more.", highlight=False)
    if not report.healed and not report.lost:
        out.print(f"{escape(name)} is in order: nothing to repair.", highlight=False)
        return
    encoded = f", {counted(report.encoded, 'item')} encoded again" if report.encoded else ""
    out.print(
        f"{counted(len(report.healed), 'repair')}{encoded}, {len(report.lost)} lost. {escape(name)} has "
        f"generation {report.generation}.",
        highlight=False,
    )
    if report.lost:
        raise typer.Exit(1)
