"""Which clips may be hits: by video, tag and time. Resolved to ids before a search, which then looks at no others."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quartet.errors import InputError

_MAX_TAG_LENGTH = 64
"""Characters."""

_QUOTED = re.compile(r'"([^"]*)"?|(\S+)')
_WORD = re.compile(r"\w+")


def clean_tag(tag: str) -> str:
    """A tag as the catalogue has it: lower case, single spaces.

    Raises InputError for one without a letter or digit, with a comma or a control character, or longer than 64
    characters.
    """
    clean = " ".join(tag.split()).lower()
    if not any(c.isalnum() for c in clean) or "," in clean or not clean.isprintable():
        raise InputError(f"{tag!r} is not a valid tag: use letters, digits, spaces and hyphens, but no commas.")
    if len(clean) > _MAX_TAG_LENGTH:
        raise InputError(f"The tag {clean[:20]!r}... has {len(clean)} characters. The maximum is {_MAX_TAG_LENGTH}.")
    return clean


def clean_language(language: str) -> str:
    """A language as the catalogue has it: `en` for `en-GB`, `eng` and `EN`. Raises InputError for what names none."""
    code = re.split(r"[-_]", language.strip().lower())[0]
    if not re.fullmatch(r"[a-z]{2,3}", code):
        raise InputError(f"{language!r} is not a language code. Give two or three letters, such as en.")
    return _TWO_LETTERS.get(code, code)


def phrases_of(words: str) -> list[list[str]]:
    """`tax "interest rates"` as [["tax"], ["interest", "rates"]]. Raises InputError where there is no word."""
    found = [_WORD.findall(quoted or single) for quoted, single in _QUOTED.findall(words)]
    phrases = [phrase for phrase in found if phrase]
    if not phrases:
        raise InputError(f"{words!r} contains no word. Give words, or phrases in double quotes.")
    return phrases


_TWO_LETTERS = {
    "ara": "ar", "bul": "bg", "cat": "ca", "ces": "cs", "cze": "cs", "dan": "da", "deu": "de", "ger": "de",
    "ell": "el", "gre": "el", "eng": "en", "spa": "es", "est": "et", "fas": "fa", "per": "fa", "fin": "fi",
    "fra": "fr", "fre": "fr", "heb": "he", "hin": "hi", "hrv": "hr", "hun": "hu", "ind": "id", "isl": "is",
    "ice": "is", "ita": "it", "jpn": "ja", "kor": "ko", "lit": "lt", "lav": "lv", "msa": "ms", "may": "ms",
    "nld": "nl", "dut": "nl", "nor": "no", "nob": "nb", "nno": "nn", "pol": "pl", "por": "pt", "ron": "ro",
    "rum": "ro", "rus": "ru", "slk": "sk", "slo": "sk", "slv": "sl", "srp": "sr", "swe": "sv", "tha": "th",
    "tur": "tr", "ukr": "uk", "vie": "vi", "zho": "zh", "chi": "zh",
}  # fmt: skip
"""ISO 639-1 for the codes of ISO 639-2 that containers use."""


@dataclass(frozen=True)
class ClipFilter:
    """Every condition that is given must hold.

    video_ids  clips of these videos
    tags  clips of videos that have all of these tags, in any case of letters
    start, end  clips that have a part in [start, end), in seconds from the beginning of their video
    path  clips of videos in this folder of their root, or whose path there fits this pattern of `*` and `?`
    after, before  clips of videos whose files were last changed in [after, before), in seconds since 1970
    shortest, longest  clips minimum and maximum length of a video, in seconds
    words  clips at whose time a text has all of these words; phrases in double quotes
    languages  clips at whose time there is a text in one of these languages
    has_text  clips at whose time there is a text, or there is none
    after_clip  clips that were added after this one: their ids are larger
    Raises InputError if a range is empty, a tag is not valid or there is no word in `words`.
    """

    video_ids: frozenset[int] | None = None
    start: float | None = None
    end: float | None = None
    tags: frozenset[str] = frozenset()
    path: str | None = None
    after: float | None = None
    before: float | None = None
    shortest: float | None = None
    longest: float | None = None
    words: str | None = None
    languages: frozenset[str] = frozenset()
    has_text: bool | None = None
    after_clip: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", frozenset(clean_tag(tag) for tag in self.tags))
        object.__setattr__(self, "languages", frozenset(clean_language(language) for language in self.languages))
        if self.words is not None:
            phrases_of(self.words)
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise InputError(f"start ({self.start:g} s) must be before end ({self.end:g} s).")
        if self.after is not None and self.before is not None and self.after >= self.before:
            raise InputError("The first date must be before the last date.")
        if self.shortest is not None and self.longest is not None and self.shortest > self.longest:
            raise InputError(
                f"The minimum length ({self.shortest:g} s) must not exceed the maximum length ({self.longest:g} s)."
            )

    @property
    def by_video(self) -> bool:
        """Whether the catalogue has to say which videos are meant."""
        return bool(self.tags) or any(
            value is not None for value in (self.path, self.after, self.before, self.shortest, self.longest)
        )

    @property
    def by_text(self) -> bool:
        """Whether texts have to be looked at."""
        return self.words is not None or bool(self.languages) or self.has_text is not None


@dataclass(frozen=True)
class ClipTable:
    """The video and the time of every clip of a catalogue, as columns: a filter over a million takes milliseconds."""

    ids: npt.NDArray[np.int64]
    video_ids: npt.NDArray[np.int64]
    starts: npt.NDArray[np.float64]
    ends: npt.NDArray[np.float64]

    def select(self, wanted: ClipFilter, videos: Collection[int] | None = None) -> npt.NDArray[np.int64]:
        """Ids, ascending, of the clips that the filter keeps, without regard to texts.

        videos  those that the filter keeps by what the catalogue knows of them; None: it does not ask for that
        """
        keep = np.ones(len(self.ids), dtype=np.bool_)
        if videos is not None:
            keep &= np.isin(self.video_ids, np.array(sorted(videos), dtype=np.int64))
        if wanted.after_clip is not None:
            keep &= self.ids > wanted.after_clip
        if wanted.video_ids is not None:
            keep &= np.isin(self.video_ids, np.array(sorted(wanted.video_ids), dtype=np.int64))
        if wanted.start is not None:
            keep &= self.ends > wanted.start
        if wanted.end is not None:
            keep &= self.starts < wanted.end
        return self.ids[keep]
