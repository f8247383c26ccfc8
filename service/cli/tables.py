"""Answers as Rich tables: the score of each of the four levels next to every hit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from indexer.catalog.records import Failure
    from model.mcsan.overrides import Setting
    from quartet.schemas.search_answers import Attributes, CaptionAnswer, ClipAnswer, ClipHit, LevelScore, Line

_LEVEL_STYLES = {"global": "blue", "entity": "green", "action": "yellow", "relation": "magenta"}
_WITH_WORDS = {**_LEVEL_STYLES, "words": "cyan"}
"""Where a library has texts."""


def clips_table(answer: ClipAnswer) -> Table:
    """Ranked clips, with the lines at their times."""
    has_lines = any(hit.line for hit in answer.hits)
    styles = _WITH_WORDS if any("words" in hit.levels for hit in answer.hits) else _LEVEL_STYLES
    table = _ranking("clip", "title", "seconds", *(("line",) if has_lines else ()), levels=styles)
    for rank, hit in enumerate(answer.hits, 1):
        cells = [str(hit.clip_id), escape(hit.title), _seconds(hit)]
        if has_lines:
            cells.append(_line(hit.line) if hit.line else "")
        table.add_row(str(rank), f"{hit.score:.3f}", *_levels(hit.levels, styles), *cells, _words(hit.matched))
    return table


def _seconds(hit: ClipHit) -> str:
    """When it is seen, each moment in a line of its own, and how many clips it stands for."""
    times = [f"{moment.start:.1f}-{moment.end:.1f}" for moment in hit.moments] or [f"{hit.start:.1f}-{hit.end:.1f}"]
    return "\n".join([*times, *([f"{len(hit.alike)} more like this"] if hit.alike else [])])


def _line(line: Line) -> str:
    """A line with its second, the words that were asked for in bold."""
    pieces, at = [], 0
    for begin, end in line.marks:
        if begin >= at:
            pieces += [escape(line.text[at:begin]), f"[bold]{escape(line.text[begin:end])}[/]"]
            at = end
    when = "" if line.start is None else f"{line.start:.1f} s: "
    return when + "".join([*pieces, escape(line.text[at:])])


def captions_table(answer: CaptionAnswer) -> Table:
    """Ranked captions."""
    table = _ranking("caption")
    for rank, hit in enumerate(answer.hits, 1):
        table.add_row(str(rank), f"{hit.score:.3f}", *_levels(hit.levels), escape(hit.text), _words(hit.matched))
    return table


def provenance(answer: ClipAnswer | CaptionAnswer) -> str:
    """What to know of the answer; and in one line which generation answered, how surely and how fast."""
    took = answer.took_ms
    kind = "exact" if answer.exact else "approximate"
    notes = "".join(f"[dim]{escape(note)}[/]\n" for note in getattr(answer, "notes", ()))
    stages = f"encode {took.encode:.1f}, search {took.search:.1f}, hydrate {took.hydrate:.1f} ms"
    looked = getattr(answer, "reranked", None)
    again = "" if looked is None else f", best {looked.candidates} scored again in {looked.took_ms:.1f} ms"
    return f"{notes}[dim]generation {answer.generation}, {kind}{again}, {stages}[/]"


def failures_table(failures: Sequence[Failure], most: int | None = None) -> Table:
    """Refused files, each with its reason. Past `most` of them the others are counted, by reason."""
    table = Table(title="Refused", title_justify="left", title_style="yellow")
    table.add_column("file", overflow="fold")
    table.add_column("reason", no_wrap=True)
    table.add_column("detail")
    shown = failures[:most]
    for failure in shown:
        table.add_row(escape(str(failure.path)), failure.reason, escape(failure.detail))
    for reason, count in Counter(failure.reason for failure in failures[len(shown) :]).most_common():
        table.add_row(f"and {count} more", reason, "`quartet status` lists them all.")
    return table


def _ranking(*columns: str, levels: Mapping[str, str] = _LEVEL_STYLES) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right")
    table.add_column("score", justify="right", style="bold")
    for name, style in levels.items():
        table.add_column(name, justify="right", style=style)
    for name in columns:
        table.add_column(name, overflow="fold")
    table.add_column("matched", style="dim", overflow="fold")
    return table


def _levels(levels: Mapping[str, LevelScore], shown: Iterable[str] = _LEVEL_STYLES) -> list[str]:
    """The score of each level; a dash where it did not count."""
    return [f"{levels[name].activation:.3f}" if name in levels and levels[name].weight > 0 else "-" for name in shown]


def _words(matched: Attributes) -> str:
    return escape(", ".join([*matched.entities, *matched.actions, *matched.relations]))


def settings_table(settings: Sequence[Setting], preset: str) -> Table:
    """Every setting of a preset: its name, its value there, what it may be and what it does."""
    table = Table(title=f"Settings of the preset {preset}, changed by --set NAME=VALUE", title_justify="left")
    for column in ("name", "value", "may be", "description"):
        table.add_column(column, overflow="fold")
    for setting in settings:
        value = str(setting.value).lower() if isinstance(setting.value, bool) else str(setting.value)
        table.add_row(setting.name, value, setting.kind, setting.help)
    return table
