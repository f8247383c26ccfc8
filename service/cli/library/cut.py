"""`quartet cut`: clips as files of their own, or a selection of them as a list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from service.cli import remote
from service.cli.options import LibraryOption, RootOption, console, counted, existing_library, roots_of, settings_of
from service.cli.remote import ServerOption, asked

if TYPE_CHECKING:
    from indexer.catalog.records import Clip
    from indexer.cutting.selection_list import Selected
    from indexer.store.library import Library


def cut(
    clips: Annotated[list[int], typer.Argument(metavar="CLIPS", help="Clip ids, as a search shows them.", min=1)],
    to: Annotated[
        Path,
        typer.Option(
            "--to",
            help="A folder for video files, or a list file: .csv, .m3u8, .otio, .edl or .fcpxml.",
            show_default=False,
        ),
    ],
    library: LibraryOption = None,
    root: RootOption = None,
    padding: Annotated[float, typer.Option(min=0, help="Seconds before and after each clip.")] = 0.0,
    encode: Annotated[
        bool, typer.Option("--encode", help="Re-encode every clip as H.264 and AAC, which any player reads.")
    ] = False,
    server: ServerOption = None,
) -> None:
    """Save clips as separate files, or as a list for players and editing programs.

    A file starts with the first frame of its clip and ends with the last. If the cut falls on key frames, the packets
    are copied; otherwise the clip is encoded again.

    [dim]quartet cut 12 17 --to selection --library my-library[/]

    [dim]quartet cut 12 17 --to selection.otio --padding 1 --library my-library[/]

    With --server, a running service cuts the clips and the files come here. The paths in a list are those of the
    service.

    [dim]quartet cut 12 17 --to selection --server http://localhost:8000[/]
    """
    if server is not None:
        with asked(server, library, root=root, encode=encode) as client:
            remote.cut(client, clips, to, padding)
        return
    settings = settings_of(library=library, roots=roots_of(root))
    folder = existing_library(settings)

    from indexer.cutting.selection_list import FORMATS, as_list
    from indexer.store.library import Library

    with Library.open(folder, roots=settings.roots) as opened:
        chosen = [opened.catalog.clip(clip) for clip in clips]
        suffix = to.suffix.lower().removeprefix(".")
        if suffix in FORMATS:
            to.write_text(as_list([_selected(opened, clip, padding) for clip in chosen], suffix), encoding="utf-8")
            console().print(f"{counted(len(chosen), 'clip')} listed in {escape(str(to))}.", highlight=False)
            return
        _write_files(chosen, to, padding, encode)


def _write_files(chosen: list[Clip], to: Path, padding: float, encode: bool) -> None:
    from indexer.cutting.clip_file import write_clip

    to.mkdir(parents=True, exist_ok=True)
    for clip in chosen:
        target = to / f"{clip.title} {clip.id}.mp4"
        written = write_clip(clip.path, max(clip.start - padding, 0.0), clip.end + padding, target, encode=encode)
        how = "copied" if written.copied else "encoded"
        console().print(
            f"{escape(str(written.path))}: {written.start:.3f} to {written.end:.3f} s, {how}",
            highlight=False,
        )


def _selected(library: Library, clip: Clip, padding: float) -> Selected:
    from indexer.cutting.selection_list import Selected

    video = library.catalog.video(clip.video_id)
    start, end = max(clip.start - padding, 0.0), min(clip.end + padding, max(video.duration, clip.end))
    return Selected(clip.id, clip.title, str(clip.path), start, end, video.fps, video.duration)
