"""Captioned videos on disk and in memory: the JSONL dataset format, vocabularies, labels, training pairs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.language.caption_changes import changes
from model.mcsan.layers import pad_features
from model.mcsan.linear_parts import CONCEPT_LEVELS
from model.mcsan.text_features import TextFeatures
from quartet.errors import InputError

Vocabularies = dict[str, list[str]]


@dataclass(frozen=True)
class CaptionedVideo:
    """One video and the sentences that people wrote about it. `split` is "" where the file names none."""

    video: str
    captions: tuple[str, ...]
    split: str = ""


@dataclass(frozen=True)
class CaptionRow:
    """What a file says about one video, captions as they stand; `where` names the place for messages."""

    where: str
    video: str
    captions: list[str]
    split: str


def read_jsonl(path: Path) -> list[CaptionedVideo]:
    """Read `{"video": ..., "captions": [...], "split": ...}` lines; empty captions are left out.

    Raises InputError with the line's number for a broken line, a video named twice or one without captions.
    """
    return [
        CaptionedVideo(row.video, tuple(c.strip() for c in row.captions if c.strip()), row.split)
        for row in read_jsonl_rows(path)
    ]


def read_jsonl_rows(path: Path) -> list[CaptionRow]:
    """As `read_jsonl`, with empty captions and line numbers."""
    if not path.is_file():
        raise InputError(f"There is no caption file {path}.")
    rows: dict[str, CaptionRow] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        row = _read_line(line, f"{path}, line {number}")
        if row.video in rows:
            raise InputError(f"{row.where}: video {row.video!r} is already in an earlier line.")
        rows[row.video] = row
    if not rows:
        raise InputError(f"{path} contains no videos.")
    return list(rows.values())


def _read_line(line: bytes, where: str) -> CaptionRow:
    try:
        data = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not UTF-8 text ({error.reason} at byte {error.start}).") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not valid JSON ({error.msg} at column {error.colno}).") from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{where}: not valid JSON ({error}).") from error
    if not isinstance(data, dict) or not isinstance(data.get("video"), str) or not data["video"]:
        raise InputError(f'{where}: expected an object with a "video" name and a list of "captions".')
    captions, split = data.get("captions"), data.get("split", "")
    if not isinstance(captions, list) or not all(isinstance(c, str) for c in captions):
        raise InputError(f'{where}: "captions" of video {data["video"]!r} must be a list of strings.')
    if not any(c.strip() for c in captions):
        raise InputError(f"{where}: video {data['video']!r} has only empty captions.")
    if not isinstance(split, str):
        raise InputError(f'{where}: "split" of video {data["video"]!r} must be a string, not {split!r}.')
    return CaptionRow(where, data["video"], captions, split)


@dataclass(frozen=True)
class ChangedTexts:
    """Captions with exactly one thing changed: `texts`, and by the number of a caption what was made of it.

    made  {caption: [(kind of change, place in `texts`), ...]}; captions of which nothing was made are not in it
    """

    texts: Sequence[TextFeatures]
    made: dict[int, list[tuple[str, int]]]

    @classmethod
    def of(
        cls,
        texts: Sequence[TextFeatures],
        owner: npt.NDArray[np.int64],
        featurize: Callable[[list[str]], Sequence[TextFeatures]],
    ) -> ChangedTexts:
        """At most one change of every kind for each caption of `texts`, which `owner` gives to videos."""
        found = changes([text.parse for text in texts], owner)
        made: dict[int, list[tuple[str, int]]] = {}
        for place, change in enumerate(found):
            made.setdefault(change.caption, []).append((change.kind, place))
        return cls(featurize([change.text for change in found]), made)


@dataclass(frozen=True)
class VideoText:
    """V videos with C captions, ready for the towers.

    features (V, N, D_v) float32 padded        frame_mask (V, N) bool
    texts    C text features                   owner (C,) index of each caption's video
    changed  captions with one thing changed, where training asks for them
    """

    features: Tensor
    frame_mask: Tensor
    texts: Sequence[TextFeatures]
    owner: npt.NDArray[np.int64]
    changed: ChangedTexts | None = None

    @classmethod
    def build(cls, features: Sequence[Tensor], texts: Sequence[Sequence[TextFeatures]]) -> VideoText:
        """From per-video features (T_i, D_v) and per-video captions, in one order."""
        padded, mask = pad_features(features)
        owner = np.repeat(np.arange(len(texts)), [len(own) for own in texts])
        return cls(padded, mask, [text for own in texts for text in own], owner)


def build_vocabularies(texts: Iterable[TextFeatures], sizes: dict[str, int]) -> Vocabularies:
    """The most frequent nouns, verbs and triplets of training captions, by level; ties in alphabetical order."""
    counts: dict[str, Counter[str]] = {level: Counter() for level in CONCEPT_LEVELS}
    for text in texts:
        attributes = text.parse.attributes()
        for level in CONCEPT_LEVELS:
            counts[level].update(attributes.of(level))
    return {level: _most_frequent(counts[level], sizes[level]) for level in CONCEPT_LEVELS}


def role_verbs(texts: Iterable[TextFeatures], size: int) -> list[str]:
    """The most frequent verbs, with their prepositions, of one noun to another."""
    counts = Counter(verb for text in texts for who, verb, whom in text.parse.triplets if verb and whom and who != whom)
    return _most_frequent(counts, size)


def _most_frequent(counts: Counter[str], size: int) -> list[str]:
    """Ties in alphabetical order."""
    return [word for word, _ in sorted(counts.items(), key=lambda c: (-c[1], c[0]))[:size]]


def concept_labels(data: VideoText, vocabularies: Vocabularies) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Labels per level as uint8: a text has its own attributes (C, K), a video those of all its captions (V, K)."""
    of_text, of_video = {}, {}
    for level in CONCEPT_LEVELS:
        index = {word: i for i, word in enumerate(vocabularies[level])}
        labels = torch.zeros(len(data.texts), max(1, len(index)), dtype=torch.uint8)
        for row, text in enumerate(data.texts):
            known = [index[word] for word in text.parse.attributes().of(level) if word in index]
            labels[row, known] = 1
        of_text[level] = labels
        counts = torch.zeros(len(data.features), labels.shape[1], dtype=torch.int32)
        counts.index_add_(0, torch.from_numpy(data.owner), labels.int())
        of_video[level] = (counts > 0).to(torch.uint8)
    return of_text, of_video
