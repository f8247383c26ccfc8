"""Options that say which clips may be hits, for every command that searches."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]

TagOption = Annotated[
    list[str] | None,
    typer.Option("--tag", help="Only videos with this tag. Repeat it to require several tags.", show_default=False),
]
PathOption = Annotated[
    str | None,
    typer.Option(
        "--path", help="Only videos in this folder below their root, or whose path matches a pattern: '2024/*.mp4'.",
        show_default=False,
    ),
]  # fmt: skip
AfterOption = Annotated[
    datetime | None,
    typer.Option("--after", formats=_DATES, help="Only files changed at this time or later.", show_default=False),
]
BeforeOption = Annotated[
    datetime | None,
    typer.Option("--before", formats=_DATES, help="Only files changed before this time.", show_default=False),
]
ShortestOption = Annotated[
    float | None, typer.Option("--shortest", min=0, help="Minimum length of a video, in seconds.", show_default=False)
]
LongestOption = Annotated[
    float | None, typer.Option("--longest", min=0, help="Maximum length of a video, in seconds.", show_default=False)
]
WordsOption = Annotated[
    str | None,
    typer.Option(
        "--words", help="Only clips whose text contains these words. Put phrases in double quotes.", show_default=False
    ),
]
LanguageOption = Annotated[
    list[str] | None,
    typer.Option(
        "--language",
        help="Only clips with a text in this language, such as en. Repeat it for more languages.",
        show_default=False,
    ),
]
HasTextOption = Annotated[
    bool | None,
    typer.Option("--has-text/--no-text", help="Only clips with a text, or only clips without one.", show_default=False),
]


class Sort(StrEnum):
    """The orders of hits."""

    SCORE = "score"
    TIME = "time"
    DATE = "date"


SortOption = Annotated[
    Sort, typer.Option(help="Order of the hits: by score, by position in the video, or newest files first.")
]
MinimumOption = Annotated[float | None, typer.Option("--min-score", help="Minimum score of a hit.", show_default=False)]


def filter_of(
    tag: list[str] | None,
    path: str | None,
    after: datetime | None,
    before: datetime | None,
    shortest: float | None,
    longest: float | None,
    words: str | None,
    language: list[str] | None,
    has_text: bool | None,
) -> dict[str, Any] | None:
    """The filter of the API that the options ask for; None where none does. Dates are those of this machine."""
    given = {
        "tags": tag or None,
        "path": path,
        "after": _utc(after),
        "before": _utc(before),
        "shortest": shortest,
        "longest": longest,
        "words": words,
        "languages": language or None,
        "has_text": has_text,
    }
    found = {name: value for name, value in given.items() if value is not None}
    return found or None


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
