"""`quartet remove`, `tag` and `relocate`: looking after a library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from service.cli import remote
from service.cli.options import LibraryOption, RootOption, console, counted, library_of, roots_of, settings_of
from service.cli.remote import ServerOption, asked

EraseOption = Annotated[
    bool,
    typer.Option(
        "--erase-now",
        help="Remove them from the disk at once, with the generation before. A service on the library may fail a "
        "request in the second in which it changes over.",
    ),
]


def remove(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATHS", help="Video files, or folders of them. They need not exist any more."),
    ] = None,
    library: LibraryOption = None,
    root: RootOption = None,
    missing: Annotated[bool, typer.Option("--missing", help="Every video whose file has gone.")] = False,
    erase_now: EraseOption = False,
    other_model: Annotated[
        bool,
        typer.Option(
            "--other-model",
            help="Instead: the vectors of models that do not answer, the one before and the one of an unfinished "
            "change.",
        ),
    ] = False,
) -> None:
    """Take videos out of a library. The files stay; captions stay too.

    No answer has them from now on. Their vectors, pictures and rows leave the disk with the next generation, which is
    written when anything changes, or at once with --erase-now. A copy in Milvus has them until the next
    `quartet export`. A later `quartet index` of their folder puts them back.

    [dim]quartet remove ~/Videos/drafts --library my-library[/]

    [dim]quartet remove --missing --library my-library[/]
    """
    if other_model and (paths or missing):
        raise typer.BadParameter("It takes out no video; give it by itself.", param_hint="--other-model")
    if not paths and not missing and not other_model:
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
        console().print(f"{escape(str(folder))} has vectors of one model alone.", highlight=False)


def when_erased(now: bool) -> str:
    """When what was removed has left the disk, as a sentence."""
    return "No file holds them any more." if now else "They leave the disk with the next generation."


def tag(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATHS", help="Video files of the library, or folders of them.")
    ] = None,
    library: LibraryOption = None,
    root: RootOption = None,
    add: Annotated[
        list[str] | None, typer.Option("--add", "-a", help="A tag to give them. Repeat for more.", show_default=False)
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", "-r", help="A tag to take from them.", show_default=False)
    ] = None,
    server: ServerOption = None,
) -> None:
    """Tag videos, so that a search can keep to them. Without PATHS, list the tags.

    A tag stays with a video when its file is renamed or changed. Searches see it at once; nothing is encoded again.

    [dim]quartet tag ~/Videos/2024 --add holiday --add family --library my-library[/]

    [dim]quartet search "a dog in the snow" --tag holiday --library my-library[/]
    """
    if paths and not (add or remove):
        raise typer.BadParameter("Give a tag with --add or --remove.", param_hint="--add")
    if (add or remove) and not paths:
        raise typer.BadParameter("Name the videos, or folders of them.", param_hint="PATHS")
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
    name: Annotated[str, typer.Argument(metavar="NAME", help="A root; `quartet status` lists them.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where its videos lie now.")],
    library: LibraryOption = None,
) -> None:
    """Tell a library that the videos of a root have moved. Nothing is encoded again.

    For a place that differs from machine to machine, leave the library as it is and give --root, or set
    QUARTET_ROOTS, where it is used.

    [dim]quartet relocate Videos /media/disk2/Videos --library my-library[/]
    """
    path = library_of(settings_of(library=library))

    from indexer.store.management import move_root

    move_root(path, name, folder)
    console().print(f"The videos of {escape(name)} lie in {escape(str(folder.resolve()))} now.", highlight=False)
