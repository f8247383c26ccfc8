"""What is wrong with a data set, as sentences with counts and names: nothing is left out in silence."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from model.training.data.dataset import CaptionedVideo
from quartet.errors import InputError

_MAX_EXAMPLES = 5
_TELLING = 3
"""Videos with at least this many distinct captions, all of them the same, are hardly two videos."""


def list_names(what: str, names: Sequence[str], counted: bool = True) -> str:
    """ "3 videos without captions: a, b, c" with at most five names; `counted` puts their number first."""
    shown = ", ".join(names[:_MAX_EXAMPLES]) + (", ..." if len(names) > _MAX_EXAMPLES else "")
    return f"{len(names)} {what}: {shown}" if counted else f"{what}: {shown}"


def repeated_captions(videos: Iterable[CaptionedVideo]) -> list[str]:
    """A note if videos of several names have the very same captions."""
    by_captions = defaultdict(list)
    for video in videos:
        captions = frozenset(caption.lower() for caption in video.captions)
        if len(captions) >= _TELLING:
            by_captions[captions].append(video)
    return _note("the same captions", by_captions.values())


def repeated_features(videos: Sequence[CaptionedVideo], features: Sequence[Tensor]) -> list[str]:
    """A note if videos of several names have the very same frame features."""
    by_features = defaultdict(list)
    for video, rows in zip(videos, features, strict=True):
        by_features[features_digest([rows])].append(video)
    return _note("the same frame features", by_features.values())


def _note(what: str, groups: Iterable[list[CaptionedVideo]]) -> list[str]:
    repeated = [group for group in groups if len(group) > 1]
    if not repeated:
        return []
    # Leaks first: they are what makes figures too good.
    repeated.sort(key=lambda group: len({video.split for video in group}) == 1)
    leaks = sum(len({video.split for video in group}) > 1 for group in repeated)
    shown = [" = ".join(f"{v.video} ({v.split})" if v.split else v.video for v in group) for group in repeated]
    across = f" ({leaks} across splits: the evaluation would contain training data)" if leaks else ""
    return [list_names(f"groups of videos have {what}{across}", shown)]


def captions_digest(videos: Iterable[CaptionedVideo]) -> str:
    """A hash of names, captions and splits, in their order."""
    digest = hashlib.sha256()
    for video in videos:
        digest.update(repr((video.video, video.captions, video.split)).encode())
    return f"sha256:{digest.hexdigest()}"


def features_digest(features: Iterable[Tensor]) -> str:
    """A hash of the values and shapes of (T, D) features, in their order."""
    digest = hashlib.sha256()
    for rows in features:
        digest.update(repr(tuple(rows.shape)).encode())
        digest.update(np.ascontiguousarray(rows).data)
    return f"sha256:{digest.hexdigest()}"


def file_digest(path: Path) -> str:
    """A hash of a file's content. Raises InputError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
