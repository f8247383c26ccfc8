"""`quartet demo`: a rendered video library, indexed, searched both ways and served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.cli.common import console, settings_of
from service.cli.index import run_index
from service.cli.serve import run_server

if TYPE_CHECKING:
    pass

SEED = 2026


@dataclass(frozen=True)
class Question:
    """A sentence in words of our own and the clip that it describes."""

    text: str
    video: str


QUESTIONS: tuple[Question, ...] = ()
DESCRIBED = "test-0000.mp4"


def demo(
    folder: Annotated[Path, typer.Option(help="Where the videos and the library go.")] = Path("quartet-demo"),
    clips: Annotated[int, typer.Option(min=1, max=5000, help="How many clips to render.")] = 240,
    once: Annotated[
        bool, typer.Option("--once", help="Stop after the queries; exit 1 if one was answered wrong.")
    ] = False,
    render_only: Annotated[bool, typer.Option("--render-only", help="Stop after the videos.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
) -> None:
    """Render a video library, index it, search it both ways and serve it.

    The clips show compositions that the bundled model has never seen, made of things and actions that it has.
    What exists already is used again.

    [dim]quartet demo[/]

    [dim]quartet demo --once --clips 240[/]
    """
    videos, library = folder / "videos", folder / "library"
    _render(videos, clips)
    if render_only:
        return
    settings = settings_of(library=library, model="demo")
    run_index(settings, [videos])
    _add_captions(settings, videos)
    if clips >= 240 and not _ask(settings):
        raise typer.Exit(1)
    if not once:
        run_server(settings, host, port)


def _render(videos: Path, clips: int) -> None:
    from demo.video import write_videos

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console()) as bar:
        task = bar.add_task("Rendering", total=clips)
        for done, _ in write_videos(videos, "test", clips, SEED):
            bar.update(task, completed=done)
