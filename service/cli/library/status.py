"""`quartet status`: what a library holds."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from indexer.disk.presence import is_gone
from service.cli import remote
from service.cli.options import LibraryOption, RootOption, console, library_of, roots_of, settings_of
from service.cli.other_files import other_files_line, split_failures
from service.cli.remote import ServerOption, asked
from service.cli.tables import failures_table

if TYPE_CHECKING:
    from indexer.catalog.records import Counts
    from indexer.store.library import Library
    from indexer.store.management import ModelState
    from service.settings import Settings


def status(
    library: LibraryOption = None,
    root: RootOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    server: ServerOption = None,
) -> None:
    """Show what a library contains, which model built it, which files it refused, and how it is searched.

    A large library is searched with a fast scan of 4-bit codes. When new clips do not fit the learned codebooks, the
    command recommends training with `quartet tune`.

    [dim]quartet status --library my-library[/]

    [dim]quartet status --library my-library --json | jq .failures[/]
    """
    if server is not None:
        with asked(server, library=library, root=root) as client:
            remote.status(client, as_json)
        return
    settings = settings_of(library=library, roots=roots_of(root))
    folder = library_of(settings)

    from indexer.store.library import Library

    out = console()
    with Library.open(folder, roots=settings.roots) as opened:
        if as_json:
            typer.echo(json.dumps(status_json(opened) | {"milvus": milvus_json(settings)}))
            return
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, value in (*_holds(opened), *_searched(opened), *_in_milvus(opened, settings)):
            table.add_row(name, value)
        out.print(table, highlight=False)
        refused, other = split_failures(opened.catalog.failures())
        if refused:
            out.print(failures_table(refused))
        if other:
            out.print(f"[dim]{escape(other_files_line(other))} `quartet status --json` lists them.[/]", highlight=False)


def status_json(library: Library) -> dict[str, Any]:
    """Everything that `status` shows, for machines: sizes in bytes, times in seconds."""
    from indexer.search.approximate.encoding import encoding_of
    from indexer.store.disk_usage import disk_usage, media_usage
    from indexer.store.generation import KINDS
    from indexer.store.management import models_of

    generation = library.current()
    counts, media = library.catalog.counts(), media_usage(library)
    galleries = {kind: generation.gallery(kind) for kind in KINDS}
    encodings = {kind: encoding_of(gallery) for kind, gallery in galleries.items()}
    return {
        "library": str(library.path.resolve()),
        "model": asdict(generation.manifest.model),
        "other_models": [asdict(state) for state in models_of(library)[1:]],
        "generation": generation.name,
        "store": generation.manifest.store,
        "videos": {"count": counts.videos, **asdict(media)},
        "clips": {"count": counts.clips, "searchable": len(galleries["clips"]), "unfinished": counts.unfinished},
        "captions": {"count": counts.captions, "searchable": len(galleries["captions"])},
        "roots": [
            {"name": root.name, "path": str(root.path), "there": not is_gone(root.path)}
            for root in library.catalog.roots()
        ],
        "disk": disk_usage(library.path),
        "frames": None if generation.manifest.frames is None else asdict(generation.manifest.frames),
        "search": {
            kind: {
                "exact": encoding is None,
                "encoding": None if encoding is None else encoding.to_json(),
                "training_due": None if encoding is None else encoding.training_due,
            }
            for kind, encoding in encodings.items()
        },
        "failures": [{"file": str(f.path), "reason": f.reason, "detail": f.detail} for f in library.catalog.failures()],
    }


def milvus_json(settings: Settings) -> dict[str, Any] | None:
    """Where in Milvus the library is and which generation of it; None if it is in none."""
    if settings.library is None or not settings.milvus:
        return None
    from indexer.milvus.generations import MilvusStore

    with closing(MilvusStore.open(settings.library, settings.milvus, settings.token())) as store:
        return {"address": settings.milvus, "generation": store.current().name}


def _in_milvus(library: Library, settings: Settings) -> list[tuple[str, str]]:
    there = milvus_json(settings)
    if there is None:
        return []
    rows = [("answers from", f"{escape(there['address'])}, generation {there['generation']}")]
    if there["generation"] != library.current().name:
        rows.append(("", "[yellow]Milvus has another generation.[/] Run `quartet export`."))
    return rows


def _holds(library: Library) -> list[tuple[str, str]]:
    from indexer.store.disk_usage import disk_usage, media_usage
    from indexer.store.management import models_of

    generation = library.current()
    counts, tags = library.catalog.counts(), library.catalog.tags()
    model = generation.manifest.model
    media, disk = media_usage(library), disk_usage(library.path)
    gone = f", [yellow]{media.missing} missing[/]" if media.missing else ""
    clips = f"{counts.clips} in the catalogue, {len(generation.clips)} searchable"
    if counts.unfinished:
        clips += f"; {counts.unfinished} of files that are being indexed"
    captions = f"{counts.captions} in the catalogue, {len(generation.captions)} searchable"
    return [
        ("library", escape(str(library.path.resolve()))),
        ("model", escape(f"{model.name} ({model.fingerprint})")),
        ("", f"[dim]{escape(model.note)}[/]"),
        *(row for state in models_of(library)[1:] for row in _other_model(state, counts)),
        ("generation", generation.name),
        (
            "videos",
            f"{counts.videos}, {timedelta(seconds=round(media.seconds))} h, {decimal(media.bytes)}{gone}; "
            f"{counts.failures} files refused",
        ),
        *((("tags", escape(", ".join(f"{tag} {count}" for tag, count in tags.items()))),) if tags else ()),
        ("clips", clips),
        ("captions", captions),
        *(
            ("root", escape(f"{known.name}: {known.path}") + (", [yellow]missing[/]" if is_gone(known.path) else ""))
            for known in library.catalog.roots()
        ),
        ("on disk", ", ".join(f"{part} {decimal(size)}" for part, size in disk.items())),
    ]


def _other_model(state: ModelState, counts: Counts) -> list[tuple[str, str]]:
    model = escape(f"{state.model.name} ({state.model.fingerprint})")
    if state.what == "before":
        return [
            ("model before", f"{model}: {state.clips} clips and {state.captions} captions"),
            ("", "[dim]Go back: `quartet index` with its --model. Delete: `quartet remove --other-model`.[/]"),
        ]
    made = f"{state.clips} of {counts.clips} clips and {state.captions} of {counts.captions} captions"
    return [
        ("next model", f"{model}: {made}"),
        ("", "[dim]Continue: `quartet index` with its --model. Cancel: `quartet remove --other-model`.[/]"),
    ]


def _searched(library: Library) -> list[tuple[str, str]]:
    from indexer.search.approximate.encoding import encoding_of
    from indexer.store.generation import KINDS

    frames = library.current().manifest.frames
    rows = []
    if frames is not None:
        rows.append(
            ("frames", f"{frames.count} vectors of {frames.dim} numbers per clip, for `quartet search --rerank`")
        )
    if (store := library.current().manifest.store) is not None:
        return [*rows, ("vectors in", escape(store))]
    for kind in KINDS:
        encoding = encoding_of(library.current().gallery(kind))
        rows.append((f"search in {kind}", "exact, by scanning" if encoding is None else escape(encoding.describe())))
        if encoding is not None and encoding.later:
            now = max(encoding.since.values())
            rows.append(("", f"{encoding.later} items came since; of them the codes lose {now:.0%}"))
        if encoding is not None and encoding.training_due:
            rows.append(
                ("", f"[yellow]Training is recommended.[/] {escape(encoding.training_due)} Run `quartet tune`.")
            )
    return rows
