"""What a run of indexing did, for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from service.cli.options import console, counted
from service.cli.other_files import other_files_line, split_failures
from service.cli.tables import failures_table

if TYPE_CHECKING:
    from indexer.ingest.index_run import IndexReport
    from indexer.ingest.model_change import ModelChange

_MAX_REFUSED = 40
"""Refused files that are listed one by one after a run."""


def print_report(report: IndexReport, folder: Path) -> None:
    """What a run did, for people."""
    out = console()
    if report.change is not None:
        for line in change_lines(report.change):
            out.print(line, highlight=False)
        if not report.change.done:
            return
    if report.interrupted:
        out.print("[yellow]Stopped.[/] The library is valid. Run the same command again to continue.")
    refused, other = split_failures(report.refused)
    recut = f" ({report.recut} of them divided again)" if report.recut else ""
    kept = f", {report.missing} missing and kept" if report.missing else ""
    out.print(
        f"[bold]{report.indexed}[/] indexed{recut}, {report.unchanged} unchanged, {report.moved} renamed, "
        f"{report.removed} removed{kept}, {len(refused)} refused, in {report.seconds:.1f} s"
    )
    if report.texts.lines:
        lines, files = counted(report.texts.lines, "line"), counted(report.texts.files, "file")
        out.print(f"{lines} of subtitles read from {files}.", highlight=False)
    if refused:
        out.print(failures_table(refused, _MAX_REFUSED))
    if other:
        out.print(f"[dim]{escape(other_files_line(other))}[/]", highlight=False)
    if not report.progress.total and not report.removed and not report.interrupted:
        out.print("[yellow]No files were found.[/] Quartet skips hidden files and linked folders.")
    clips = counted(report.clips_total, "clip")
    out.print(f"{escape(str(folder))} now has {clips} (generation {report.generation}).", highlight=False)


def change_lines(change: ModelChange) -> list[str]:
    """What has become of a change of the model, for people."""
    before, after = escape(change.before.name), escape(change.after.name)
    made = f"{counted(change.clips, 'clip')} and {counted(change.captions, 'text')} encoded by {after}"
    if change.before == change.after:
        made = f"{counted(change.clips, 'clip')} encoded again, to change which vectors of frames are stored"
        left = counted(change.left, "clip")
        return [f"{made}." if change.done else f"[yellow]Stopped.[/] {made}, {left} left. Run the same command again."]
    if not change.done:
        left = counted(change.left, "clip")
        return [
            f"[yellow]Stopped.[/] {made}, {left} left. {before} still answers. Run the same command again to continue."
        ]
    lines = [f"{made}, which now answers instead of {before}. To go back, index with the previous --model."]
    return [*lines, *(f"[yellow]It was set for {before}.[/] {escape(line)}" for line in change.fit_again)]
