"""`--server URL`: commands that a running service carries out. Thin, over the client of `quartet`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table

from service.cli.options import console, counted, settings_of

if TYPE_CHECKING:
    from quartet import Client, Job, Video

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Ask a running service. --library is then the name of one of its libraries.",
        show_default=False,
    ),
]
AddressOption = Annotated[str, typer.Option("--server", metavar="URL", help="The running service.", show_default=False)]


NameOption = Annotated[
    str | None,
    typer.Option(
        "--library", "-l", metavar="NAME", help="One of its libraries. Default: the default one.", show_default=False
    ),
]


@contextmanager
def asked(server: str, library: Path | str | None, **local: Any) -> Iterator[Client]:
    """A client of the service at `server`; its key is that of the settings.

    library  the name of one of its libraries
    local    options that only go with a library of this machine, by name: a usage error if any is given
    """
    given = [f"--{name.replace('_', '-')}" for name, value in local.items() if value]
    if given:
        detail = f"{', '.join(given)} cannot be used with --server: only for a library of this machine."
        raise typer.BadParameter(detail, param_hint="--server")

    from quartet.client import Client

    with Client(server, settings_of().key(), library=None if library is None else str(library)) as client:
        yield client


def named_videos(client: Client, names: Sequence[str]) -> list[Video]:
    """The videos of a service that are called so: by title, file name, path in their root, or a folder of that.

    Raises InputError for a name that no video has.
    """
    from quartet.errors import InputError

    listed = list(client.videos())
    found: dict[int, Video] = {}
    for name in names:
        own = [video for video in listed if _is_called(video, name)]
        if not own:
            raise InputError(f"The service has no video {name!r}. `quartet videos --server URL` lists them.")
        found |= {video.video_id: video for video in own}
    return list(found.values())


def _is_called(video: Video, name: str) -> bool:
    path = PurePosixPath(video.path)
    wanted = PurePosixPath(name)
    return name in (video.title, path.name) or any(
        wanted == place or fnmatch(str(place), name) for place in (path, *path.parents) if str(place) != "."
    )


def index(client: Client, paths: Sequence[Path], ocr: bool = False, speech: str | None = None) -> bool:
    """Upload videos and wait until they are indexed; returns whether all of them could be used.

    One job takes as many as it may. After an error what has been sent is indexed before it is raised.
    """
    from quartet.requests.jobs import MAX_UPLOADS

    files = [file for path in paths for file in _files(path)]
    complete = True
    for start in range(0, len(files), MAX_UPLOADS):
        uploads: list[str] = []
        try:
            for file in files[start : start + MAX_UPLOADS]:
                complete &= _send(client, file, uploads)
        finally:
            if uploads:
                complete &= _index(client, uploads, ocr, speech)
    return complete


def _send(client: Client, file: Path, uploads: list[str]) -> bool:
    """Upload a video and note its upload; returns False for one that is larger than the service takes."""
    from quartet.errors import TooLargeError

    try:
        with _bar(file.name) as progress:
            uploads.append(client.upload_video(file, progress))
    except TooLargeError as error:
        _refused(file.name, str(error))
        return False
    return True


def _index(client: Client, uploads: Sequence[str], ocr: bool, speech: str | None) -> bool:
    """Have uploads indexed; returns whether all of them could be used."""
    report = finished(client, client.index_uploads(uploads, ocr, speech)).report
    assert report is not None
    for one in report.refused:
        _refused(one.file, one.detail)
    videos = counted(report.indexed, "video")
    console().print(f"{videos} indexed (generation {report.generation}).", highlight=False)
    return not report.refused


def _refused(name: str, detail: str) -> None:
    console().print(f"[yellow]Refused:[/] {escape(name)}: {escape(detail)}", highlight=False)


def _files(path: Path) -> list[Path]:
    """A file, or the files of a folder that are named like videos. Raises InputError if a folder has none."""
    if not path.is_dir():
        return [path]
    from indexer.catalog.records import VIDEO_SUFFIXES

    inside = (file for file in path.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file())
    files = [file for file in inside if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    if not files:
        from quartet.errors import InputError

        raise InputError(f"{path} has no files that are named like videos.")
    return sorted(files)


@contextmanager
def _bar(name: str) -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(name), total=None)
        yield lambda sent, size: bar.update(task, completed=sent, total=size)


def finished(client: Client, job: Job) -> Job:
    """The job when it has ended well. Raises QuartetError with the reason if it has not."""
    from quartet.errors import QuartetError

    with Console(stderr=True).status("Waiting for the service"):
        job = client.wait(job.id)
    if job.state != "done":
        raise QuartetError(job.error or f"The job was {job.state} by somebody else.")
    return job


def videos(
    server: AddressOption,
    words: Annotated[str, typer.Argument(metavar="WORDS")] = "",
    library: NameOption = None,
) -> None:
    """List the videos of a running service, or those with these words in their titles.

    [dim]quartet videos holiday --server http://localhost:8000[/]
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("video", "title", "path", "seconds", "clips", "tags"):
        table.add_column(name, overflow="fold")
    with asked(server, library) as client:
        for one in client.videos(words):
            path = escape(f"{one.root}/{one.path}")
            seconds, tags = f"{one.duration:.1f}", escape(", ".join(one.tags))
            table.add_row(str(one.video_id), escape(one.title), path, seconds, str(one.clips), tags)
    console().print(table, highlight=False)


def jobs(
    server: AddressOption,
    cancel: Annotated[
        str | None, typer.Option("--cancel", metavar="ID", help="Stop this job.", show_default=False)
    ] = None,
    library: NameOption = None,
) -> None:
    """List the jobs of a running service, or stop one.

    [dim]quartet jobs --server http://localhost:8000[/]
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", "kind", "state", "source", "done"):
        table.add_column(name, overflow="fold")
    with asked(server, library) as client:
        listed = client.jobs().jobs if cancel is None else [client.cancel(cancel)]
    for job in listed:
        done = f"{job.progress.done} of {job.progress.total}" if job.progress else escape(job.error or "")
        table.add_row(job.id, job.kind, job.state, escape(job.source), done)
    console().print(table, highlight=False)


def tag(client: Client, names: Sequence[str], add: Sequence[str], remove: Sequence[str]) -> None:
    """Change the tags of videos, or list the tags."""
    out = console()
    if names:
        chosen = [video.video_id for video in named_videos(client, names)]
        changed = client.tag_videos(chosen, add, remove).videos
        out.print(f"{counted(changed, 'video')} changed.", highlight=False)
        return
    for one in client.tags():
        out.print(f"{escape(one.tag)}: {counted(one.videos, 'video')}", highlight=False)


def remove(client: Client, names: Sequence[str]) -> None:
    """Raises InputError for a name that no video has."""
    if not names:
        raise typer.BadParameter("Name the videos or folders.", param_hint="PATHS")
    removed = client.remove_videos([video.video_id for video in named_videos(client, names)]).videos
    clips = counted(client.library().counts.clips, "clip")
    console().print(f"{counted(removed, 'video')} removed. The service now has {clips}.", highlight=False)


def add_captions(client: Client, file: Path, video: str | None) -> None:
    job = finished(client, client.add_captions(file, video))
    report = job.captions
    assert report is not None
    console().print(
        f"[bold]{report.added}[/] added, {report.duplicates} known before. The service now has "
        f"{counted(report.total, 'caption')} (generation {report.generation}).",
        highlight=False,
    )


def remove_captions(client: Client, texts: Sequence[str], sources: Sequence[str]) -> None:
    """Raises InputError for a text that no caption has."""
    from quartet.errors import InputError

    known: Mapping[str, int] = {one.text: one.caption_id for one in client.captions()} if texts else {}
    for text in texts:
        if text not in known:
            raise InputError(f"The service has no caption {text!r}.")
    report = client.remove_captions([known[text] for text in texts], sources)
    console().print(
        f"{counted(report.removed, 'caption')} removed. The service now has {counted(report.total, 'caption')} "
        f"(generation {report.generation}).",
        highlight=False,
    )


def evaluate(client: Client, captions: Sequence[Path], split: str | None, as_json: bool) -> None:
    """Raises InputError for more than one file."""
    import json

    from quartet.errors import InputError

    if len(captions) != 1:
        raise InputError(f"A service measures one caption file at a time, not {len(captions)}.")
    measured = finished(client, client.evaluate(captions[0], split)).evaluation
    assert measured is not None
    line = {"event": "evaluation", **measured.model_dump()}
    typer.echo(json.dumps(line) if as_json else measured.markdown)


def cut(client: Client, clips: Sequence[int], to: Path, padding: float) -> None:
    from indexer.cutting.selection_list import FORMATS

    suffix = to.suffix.lower().removeprefix(".")
    if suffix in FORMATS:
        to.write_bytes(client.export(clips, suffix, padding))  # type: ignore[arg-type]
        console().print(f"{counted(len(clips), 'clip')} listed in {escape(str(to))}.", highlight=False)
        return
    to.mkdir(parents=True, exist_ok=True)
    for clip in [client.clip(clip) for clip in clips]:
        file = client.clip_file(clip.clip_id, to / f"{clip.title} {clip.clip_id}.mp4", padding)
        console().print(f"{escape(str(file))}", highlight=False)


def status(client: Client, as_json: bool) -> None:
    ready = client.ready()
    if as_json:
        typer.echo(ready.model_dump_json(indent=2))
        return
    holds = ready.library
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    rows = {
        "service": f"{client.url}, on {ready.device}",
        "holds": ", ".join(counted(n, thing) for n, thing in (
            (holds.videos, "video"), (holds.clips, "clip"), (holds.captions, "caption"))),
        "refused": str(holds.failures),
        "model": f"{escape(ready.model.name)} ({ready.model.fingerprint})",
        "generation": ready.generation,
        "warnings": escape(" ".join(ready.warnings)) or "none",
    }  # fmt: skip
    for name, value in rows.items():
        table.add_row(name, value)
    console().print(table, highlight=False)
