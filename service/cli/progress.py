"""The progress of an indexing run: a bar for people, or a JSON object a line for machines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Column

from service.cli.options import console

if TYPE_CHECKING:
    from indexer.ingest.index_run import IndexReport
    from indexer.pipeline.progress import Progress

Show = Callable[["Progress"], None]

_LINE_INTERVAL = 1.0
"""Seconds between lines for machines; the first and the last progress of a run are always printed."""


@contextmanager
def progress_bar() -> Iterator[Show]:
    """A bar with the pace, the time left and the stage that the others wait for."""
    # On a narrow terminal the end of the pace is cut off, and nothing else.
    pace = TextColumn("{task.fields[pace]}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"))
    columns = (TextColumn("Indexing"), BarColumn(bar_width=20), MofNCompleteColumn(), pace)
    out = console()
    bar = Bar(*columns, console=out, expand=out.is_terminal)
    task = bar.add_task("", total=None, pace="")

    def show(progress: Progress) -> None:
        # Not before: what is refused at once should not leave an empty bar above its message.
        bar.start()
        bar.update(task, completed=progress.done, total=progress.total, pace=_pace(progress))

    try:
        yield show
    finally:
        if bar.live.is_started:
            bar.stop()


def _pace(progress: Progress) -> str:
    if progress.path is None:
        return ""
    if not progress.clips:
        return f"[dim]{escape(progress.path.name)}[/]"
    left = ""
    if progress.seconds_left is not None:
        minutes, seconds = divmod(round(progress.seconds_left), 60)
        left = f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d} left, "
    return (
        f"{left}{progress.clips_per_second:.1f} clips/s, {progress.video_hours_per_hour:.1f} h of video/h, "
        f"limited by {progress.bottleneck} [dim]{escape(progress.path.name)}[/]"
    )


@contextmanager
def json_lines() -> Iterator[Show]:
    """Lines with `"event": "progress"`, about one a second, to what is the standard output now."""
    printed, out = -_LINE_INTERVAL, sys.stdout

    def show(progress: Progress) -> None:
        nonlocal printed
        now = time.monotonic()
        if now - printed >= _LINE_INTERVAL or progress.done in (0, progress.total):
            printed = now
            typer.echo(json.dumps({"event": "progress", **progress.to_json()}), file=out)

    yield show


def json_report(report: IndexReport) -> str:
    """The line with `"event": "report"` that ends a run."""
    numbers = (
        "indexed",
        "recut",
        "unchanged",
        "moved",
        "removed",
        "missing",
        "clips_total",
        "generation",
        "interrupted",
    )
    refused = [{"file": str(f.path), "reason": f.reason, "detail": f.detail} for f in report.refused]
    return json.dumps(
        {
            "event": "report",
            **{name: getattr(report, name) for name in numbers},
            "refused": refused,
            "texts": report.texts.lines,
            "seconds": round(report.seconds, 3),
            "progress": report.progress.to_json(),
            **({} if report.change is None else {"change": asdict(report.change)}),
        }
    )
