"""`quartet demo`: a rendered video library, indexed, searched both ways and served."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.cli.library.captions import run_add
from service.cli.library.index import run_index
from service.cli.options import console, settings_of
from service.cli.serve import HostOption, PortOption, run_server
from service.cli.tables import captions_table, clips_table, provenance

if TYPE_CHECKING:
    from service.search.engine import Engine

SEED = 2026
CLIPS = 240


@dataclass(frozen=True)
class Question:
    """A sentence in words of our own and the clip that it describes."""

    text: str
    video: str


QUESTIONS = (
    Question("a purple cat carrying a fish", "test-0066.mp4"),
    Question("a red heart swings on a rope in the city", "test-0032.mp4"),
    Question("a white balloon swallows a big robot", "test-0025.mp4"),
)
"""Each has clips next to it that differ in one thing: roles swapped, another action, another colour."""
DESCRIBED = "test-0057.mp4"

FolderOption = Annotated[Path, typer.Option(help="Folder for the videos and the library.")]
ClipsOption = Annotated[int, typer.Option(min=1, max=5000, help="How many clips to render.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Random seed. Another seed gives other clips.")]
OnceOption = Annotated[bool, typer.Option("--once", help="Stop after the searches; exit 1 if one went wrong.")]
RenderOption = Annotated[bool, typer.Option("--render-only", help="Stop after the videos.")]


def demo(
    folder: FolderOption = Path("quartet-demo"),
    clips: ClipsOption = CLIPS,
    seed: SeedOption = SEED,
    once: OnceOption = False,
    render_only: RenderOption = False,
    host: HostOption = None,
    port: PortOption = None,
) -> None:
    """Render a video library, index it, search it both ways and serve it.

    The bundled model has seen the things and actions of these clips, but never together. Existing videos are used
    again. The four searches run only with the default number of clips and seed.

    [dim]quartet demo[/]

    [dim]quartet demo --folder big --clips 2000 --seed 7[/]
    """
    from demo.video import CAPTIONS_FILE

    _render(folder, clips, seed)
    if render_only:
        return
    settings = settings_of(library=folder / "library", model="demo", host=host, port=port)
    run_index(settings, [folder / "videos"], to_model=True)  # the bundled model of an earlier version may have made it
    run_add(settings, folder / CAPTIONS_FILE)
    if (clips, seed) == (CLIPS, SEED):
        from service.search.engine import Engine

        engine = Engine.open(settings)
        try:
            right = _ask(engine, folder)
        finally:
            engine.close()
        if once and not right:
            raise typer.Exit(1)
    if not once:
        run_server(settings)


def _render(folder: Path, clips: int, seed: int) -> None:
    from demo.video import write_videos

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console()) as bar:
        task = bar.add_task("Rendering", total=clips)
        for done, _ in write_videos(folder, "test", clips, seed):
            bar.update(task, completed=done)


def _ask(engine: Engine, folder: Path) -> bool:
    """Ask every question and describe one clip; prints the answers and returns whether all were right."""
    from demo.video import CAPTIONS_FILE
    from model.training.data.dataset import read_jsonl
    from service.search.requests import SearchOptions

    out = console()
    verdicts = []
    for question in QUESTIONS:
        answer = asyncio.run(engine.search_clips([question.text], SearchOptions(3)))[0]
        verdicts.append(answer.hits[0].title == Path(question.video).stem)
        out.print(f"\n[bold]{question.text}[/]  {_verdict(verdicts[-1])}")
        out.print(clips_table(answer), provenance(answer), sep="\n")
    own = {video.video: video.captions for video in read_jsonl(folder / CAPTIONS_FILE)}[DESCRIBED]
    described = asyncio.run(engine.describe_file(folder / "videos" / DESCRIBED, SearchOptions(3)))
    verdicts.append(described.hits[0].text in own)
    out.print(f"\n[bold]What happens in {DESCRIBED}?[/]  {_verdict(verdicts[-1])}")
    out.print(captions_table(described), provenance(described), sep="\n")
    return all(verdicts)


def _verdict(right: bool) -> str:
    return "[green]right[/]" if right else "[red]wrong[/]"
