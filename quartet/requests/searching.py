"""Searches, and files to search with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import httpx2

from quartet.answers import read_answer
from quartet.requests.request import Progress, Request, read_as
from quartet.schemas.question import Part, Then
from quartet.schemas.search import ClipSearch, Filter
from quartet.schemas.search_answers import CaptionAnswer, ClipAnswer, ClipAnswers, SimilarAnswer, Upload


def search(
    query: str | None = None,
    k: int = 10,
    *,
    parts: Sequence[Part] = (),
    then: Sequence[Then] = (),
    more_like: Sequence[int] = (),
    less_like: Sequence[int] = (),
    group: Literal["video"] | None = None,
    diverse: bool = False,
    per_video: int | None = None,
    sort: Literal["score", "time", "date"] = "score",
    rerank: bool = False,
    offset: int = 0,
    weights: Mapping[str, float] | None = None,
    filter: Filter | None = None,
    min_score: float | None = None,
    explain: bool = False,
) -> Request[ClipAnswer]:
    """Clips for a sentence, for parts, or for both."""
    question = {
        "query": query,
        "parts": [part.model_dump(exclude_none=True) for part in parts],
        "then": [moment.model_dump(exclude_none=True) for moment in then],
        "more_like": list(more_like),
        "less_like": list(less_like),
        "group": group,
        "diverse": diverse,
        "per_video": per_video,
        "sort": None if sort == "score" else sort,
        "rerank": rerank,
    }
    given = {name: value for name, value in question.items() if value or (name == "query" and value is not None)}
    options = _options(k, offset, weights, min_score, explain, filter)
    return Request(read_as(ClipAnswer), "POST", "/v1/search/clips", json={**given, **options})


def find(
    query: str,
    k: int = 10,
    *,
    offset: int = 0,
    tags: Sequence[str] = (),
    weights: Mapping[str, float] | None = None,
    min_score: float | None = None,
    rerank: bool = False,
) -> Request[ClipAnswer]:
    """Clips for a sentence by GET, which caches can keep; `search` can ask for more."""
    params: dict[str, Any] = {"q": query, "k": k, "offset": offset, "tag": list(tags)}
    if weights:
        params["weights"] = ",".join(f"{level}={weight}" for level, weight in weights.items())
    if min_score is not None:
        params["min_score"] = min_score
    if rerank:
        params["rerank"] = "true"
    return Request(read_as(ClipAnswer), "GET", "/v1/search/clips", params)


def search_files(
    search: ClipSearch, files: Mapping[str, Path], progress: Progress | None = None
) -> Request[ClipAnswer]:
    """Clips for a question with files, which are not kept: `Part(upload=NAME)` of the question means `files[NAME]`."""
    data = {"question": search.model_dump_json(exclude_defaults=True)}
    path = "/v1/search/clips/upload"
    return Request(read_as(ClipAnswer), "POST", path, files=list(files.items()), data=data, progress=progress)


def upload(
    file: Path, start: float | None = None, end: float | None = None, progress: Progress | None = None
) -> Request[Upload]:
    """A video, a part of it in seconds, or a picture, for `Part(upload=...)` of later questions.

    The file is not kept. Raises VideoError if it cannot be used.
    """
    data = {name: str(value) for name, value in (("start", start), ("end", end)) if value is not None}
    return Request(read_as(Upload), "POST", "/v1/search/uploads", files=[("file", file)], data=data, progress=progress)


def search_many(
    queries: Sequence[str],
    k: int = 10,
    *,
    offset: int = 0,
    weights: Mapping[str, float] | None = None,
    filter: Filter | None = None,
    min_score: float | None = None,
    explain: bool = False,
    rerank: bool = False,
) -> Request[list[ClipAnswer]]:
    """Clips for each of up to 64 sentences, from one generation."""
    body: dict[str, Any] = {"queries": list(queries), **_options(k, offset, weights, min_score, explain, filter)}
    if rerank:
        body["rerank"] = True
    return Request(_answers, "POST", "/v1/search/clips/batch", json=body)


def similar(
    clip_id: int,
    k: int = 10,
    *,
    offset: int = 0,
    weights: Mapping[str, float] | None = None,
    filter: Filter | None = None,
    min_score: float | None = None,
    explain: bool = False,
) -> Request[SimilarAnswer]:
    """Clips like a clip."""
    options = _options(k, offset, weights, min_score, explain, filter)
    return Request(read_as(SimilarAnswer), "POST", "/v1/search/similar", json={"clip_id": clip_id, **options})


def captions_of(
    clip_id: int,
    k: int = 10,
    *,
    offset: int = 0,
    weights: Mapping[str, float] | None = None,
    min_score: float | None = None,
    explain: bool = False,
) -> Request[CaptionAnswer]:
    """Captions for a clip of the library."""
    options = _options(k, offset, weights, min_score, explain)
    return Request(read_as(CaptionAnswer), "POST", "/v1/search/captions", json={"clip_id": clip_id, **options})


def describe(
    video: Path, k: int = 10, weights: Mapping[str, float] | None = None, progress: Progress | None = None
) -> Request[CaptionAnswer]:
    """Captions for a video file, which is uploaded and not kept. Raises VideoError if it cannot be used."""
    data = {"k": str(k), **({"weights": json.dumps(dict(weights))} if weights else {})}
    path = "/v1/search/captions/upload"
    return Request(read_as(CaptionAnswer), "POST", path, files=[("file", video)], data=data, progress=progress)


def _answers(response: httpx2.Response) -> list[ClipAnswer]:
    return read_answer(ClipAnswers, response).answers


def _options(
    k: int,
    offset: int,
    weights: Mapping[str, float] | None,
    min_score: float | None,
    explain: bool,
    filter: Filter | None = None,
) -> dict[str, Any]:
    """The fields that all searches share; what keeps its default is left out."""
    given = {"offset": offset, "weights": dict(weights or {}), "explain": explain}
    options: dict[str, Any] = {"k": k, **{name: value for name, value in given.items() if value}}
    if min_score is not None:
        options["min_score"] = min_score
    if filter is not None:
        options["filter"] = filter.model_dump(mode="json", exclude_none=True)
    return options
