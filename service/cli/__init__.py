"""The command line: `quartet`. Each command has its own file; this one mounts them.

Importing this package imports neither torch nor spaCy nor FAISS, so `quartet --help` is instant: commands
import what they need when they run.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from quartet import __version__
from quartet.errors import QuartetError
from service.cli import demo, doctor, mcp, remote, search, serve
from service.cli.help_format import ReadableCommand, ReadableGroup
from service.cli.library import captions, cut, export, index, manage, repair, searches, status, store, tune, watch
from service.cli.training import compare, demo_dataset, evaluate, features, models, prepare, train
from service.requirement import requirement

_PLACES = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO,
    errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip
"""What the system says of a place that was named, or of its disk: no bug, so nobody needs the traceback."""


class _QuartetGroup(ReadableGroup):
    """Turns the project's errors, and a file or a folder that cannot be used, into one line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            # Typer repeats Pydantic's words, which are those of a program.
            first: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()[:1]
            if first:
                required = requirement(first[0])
                message = str(first[0]["msg"]).removeprefix("Value error, ")
                error.message = message if required is None else f"It {required}."
            raise
        except QuartetError as error:
            reason = str(error)
        except OSError as error:
            if error.errno not in _PLACES:
                raise
            reason = _place(error)
        typer.secho(f"Error: {reason}", fg=typer.colors.RED, err=True)
        raise typer.Exit(1)


def _place(error: OSError) -> str:
    """Which file or folder the system refused, and why."""
    if not error.filename:
        return f"{error.strerror}."
    path = Path(os.fsdecode(error.filename))
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        file = next((place for place in (path, *path.parents) if place.is_file()), None)
        if file is not None:
            return f"{file} is a file. Name a folder."
    return f"{error.filename}: {error.strerror}."


app = typer.Typer(
    name="quartet",
    cls=_QuartetGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"quartet {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find video clips from a sentence, and sentences from a video clip.

    Quartet matches video and text at four levels: the whole ([bold]global[/]), its things
    ([bold]entity[/]), what happens ([bold]action[/]) and who does what to whom ([bold]relation[/]).

    [dim]quartet index ~/Videos --library my-library[/]

    [dim]quartet search "a dog runs after a ball" --library my-library[/]

    [dim]quartet serve --library my-library[/]
    """


app.command("demo", cls=ReadableCommand)(demo.demo)
app.command("demo-dataset", cls=ReadableCommand)(demo_dataset.demo_dataset)
app.command("prepare", cls=ReadableCommand)(prepare.prepare)
app.command("models", cls=ReadableCommand)(models.models)
app.command("index", cls=ReadableCommand)(index.index)
app.command("watch", cls=ReadableCommand)(watch.watch)
app.command("remove", cls=ReadableCommand)(manage.remove)
app.add_typer(captions.app, name="captions")
app.command("search", cls=ReadableCommand)(search.search)
app.command("cut", cls=ReadableCommand)(cut.cut)
app.add_typer(searches.app, name="searches")
app.command("describe", cls=ReadableCommand)(search.describe)
app.command("serve", cls=ReadableCommand)(serve.serve)
app.command("mcp", cls=ReadableCommand)(mcp.mcp)
app.command("status", cls=ReadableCommand)(status.status)
app.command("videos", cls=ReadableCommand)(remote.videos)
app.command("jobs", cls=ReadableCommand)(remote.jobs)
app.command("tag", cls=ReadableCommand)(manage.tag)
app.command("verify", cls=ReadableCommand)(repair.verify)
app.command("repair", cls=ReadableCommand)(repair.repair)
app.command("relocate", cls=ReadableCommand)(manage.relocate)
app.command("store", cls=ReadableCommand)(store.store)
app.command("export", cls=ReadableCommand)(export.export)
app.command("features", cls=ReadableCommand)(features.features)
app.command("tune", cls=ReadableCommand)(tune.tune)
app.command("train", cls=ReadableCommand)(train.train)
app.command("evaluate", cls=ReadableCommand)(evaluate.evaluate)
app.command("compare", cls=ReadableCommand)(compare.compare)
app.command("doctor", cls=ReadableCommand)(doctor.doctor)


def main() -> None:
    """The console script. Exit codes: 0 done, 1 failed, 2 wrong usage."""
    app()
