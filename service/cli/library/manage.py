"""`quartet remove`, `tag` and `relocate`: looking after a library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from service.cli import remote
from service.cli.options import (
    LibraryOption,
    LineOption,
    RootOption,
    console,
    counted,
    library_of,
    roots_of,
    settings_of,
)
from service.cli.remote import ServerOption, asked

EraseOption = Annotated[
    bool,
    typer.Option(
        "--erase-now",
        help="Remove from the disk at once what is or was removed, with the previous generation. A running service may "
        "fail requests for about a second.",
    ),
]


def remove(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATHS", help="Video files or folders. They may be missing on disk."),
    ] = None,
    library: LibraryOption = None,
    root: RootOption = None,
    missing: Annotated[bool, typer.Option("--missing", help="Remove every video whose file is missing.")] = False,
    erase_now: EraseOption = False,
    other_model: Annotated[
        bool,
        typer.Option(
            "--other-model",
            help="Remove the vectors of models that no longer answer: those of the previous model and of an "
            "unfinished change.",
        ),
    ] = False,
    server: ServerOption = None,
) -> None:
    """Remove videos from a library. The files and the captions stay.

    Searches stop returning them at once. Their vectors, pictures and rows are deleted from disk with the next
    generation, which the next change writes, or at once with --erase-now. A copy in Milvus keeps them until the next
    `quartet export`. A later `quartet index` of their folder adds them again.

    [dim]quartet remove ~/Videos/drafts --library my-library[/]

    [dim]quartet remove --missing --library my-library[/]

    With --server, PATHS name videos of a running service by title, file name or path.

    [dim]quartet remove drafts --server http://localhost:8000[/]
    """
    if server is not None:
        local = {"root": root, "missing": missing, "erase_now": erase_now, "other_model": other_model}
        with asked(server, library, **local) as client:
            remote.remove(client, [str(path) for path in paths or []])
        return
    if other_model and (paths or missing):
        raise typer.BadParameter(
            "--other-model removes no video. Give it without PATHS and --missing.", param_hint="--other-model"
        )
    if not paths and not missing and not other_model and not erase_now:
        raise typer.BadParameter("Name videos or folders, or give --missing.", param_hint="PATHS")
    settings = settings_of(library=library, roots=roots_of(root))
    folder = library_of(settings)
    if other_model:
        _forget_other_models(folder)
        return

    from indexer.store.management import remove_videos

    report = remove_videos(
        folder,
        paths or [],
        missing=missing,
        roots=settings.roots,
        erase_now=erase_now,
    )
    console().print(
        f"{counted(report.removed, 'video')} removed. {escape(str(folder))} now has "
        f"{counted(report.clips_total, 'clip')} (generation {report.generation}). {when_erased(erase_now)}",
        highlight=False,
    )


def _forget_other_models(folder: Path) -> None:
    from indexer.store.management import forget_other_models

    removed = forget_other_models(folder)
    for state in removed:
        console().print(f"The vectors of {escape(state.model.name)} are removed.", highlight=False)
    if not removed:
        console().print(f"{escape(str(folder))} has vectors of one model only.", highlight=False)


def when_erased(now: bool) -> str:
    """When what was removed has left the disk, as a sentence."""
    return "They are no longer on disk." if now else "They are deleted from disk with the next generation."


def tag(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATHS", help="Video files of the library, or folders.")
    ] = None,
    library: LibraryOption = None,
    root: RootOption = None,
    add: Annotated[
        list[str] | None, typer.Option("--add", "-a", help="Tag to add. Repeat it for more tags.", show_default=False)
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", "-r", help="Tag to remove.", show_default=False)
    ] = None,
    server: ServerOption = None,
) -> None:
    """Tag videos, to filter searches by tag. Without PATHS, list the tags.

    A video keeps its tags when its file is renamed or changed. Searches see new tags at once; nothing is encoded
    again.

    [dim]quartet tag ~/Videos/2024 --add holiday --add family --library my-library[/]

    [dim]quartet search "a dog in the snow" --tag holiday --library my-library[/]
    """
    if paths and not (add or remove):
        raise typer.BadParameter("Give a tag with --add or --remove.", param_hint="--add")
    if (add or remove) and not paths:
        raise typer.BadParameter("Name the videos or folders.", param_hint="PATHS")
    if server is not None:
        with asked(server, library=library, root=root) as client:
            remote.tag(client, [str(path) for path in paths or []], add or [], remove or [])
        return
    settings = settings_of(library=library, roots=roots_of(root))
    folder = library_of(settings)

    from indexer.store.library import Library
    from indexer.store.management import tag_videos

    out = console()
    if paths:
        count = tag_videos(folder, paths, add or [], remove or [], settings.roots)
        out.print(f"{counted(count, 'video')} changed.", highlight=False)
        return
    with Library.open(folder) as opened:
        tags = opened.catalog.tags()
    for name, count in tags.items():
        out.print(f"{escape(name)}: {counted(count, 'video')}", highlight=False)
    if not tags:
        out.print(f"No video of {escape(str(folder))} has a tag. Give some with: quartet tag PATHS --add NAME")


def relocate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a root. `quartet status` lists the roots.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New folder of its videos.")],
    library: LibraryOption = None,
    as_json: LineOption = False,
    server: ServerOption = None,
) -> None:
    """Set the new folder of a root whose videos have moved. Nothing is encoded again.

    If the folder differs from machine to machine, do not change the library: give --root or set QUARTET_ROOTS on each
    machine.

    [dim]quartet relocate Videos /media/disk2/Videos --library my-library[/]

    With --server, FOLDER is one of the folders that the service may index (QUARTET_JOB_FOLDERS), or a folder in it.

    [dim]quartet relocate Videos films/2026 --server http://localhost:8000[/]
    """
    if server is not None:
        with asked(server, library, json=as_json) as client:
            base, *below = folder.parts or (".",)
            remote.finished(client, client.relocate(name, base, str(Path(*below))))
    else:
        path = library_of(settings_of(library=library))

        from indexer.store.management import move_root

        folder = folder.resolve()
        move_root(path, name, folder)
    if as_json:
        typer.echo(json.dumps({"event": "relocation", "root": name, "folder": str(folder)}))
        return
    console().print(f"The videos of {escape(name)} are now in {escape(str(folder))}.", highlight=False)
