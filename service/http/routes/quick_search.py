"""`GET /v1/search/clips?q=`: a search as an address, for browsers, feeds and `curl`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from quartet.errors import InputError
from quartet.schemas.question import MAX_QUERY
from quartet.schemas.search import MAX_FILTER_TAGS, MAX_K, MAX_OFFSET, ClipSearch, Filter, Rerank
from quartet.schemas.search_answers import ClipAnswer
from service.http.routes.dependencies import EngineDep, caller, problems, ready_json, until_disconnect
from service.search.requests import search_options

router = APIRouter(prefix="/v1/search", tags=["search"])

Sentence = Annotated[
    str, Query(min_length=1, max_length=MAX_QUERY, pattern=r"\S", description="A sentence.", examples=["a red ball"])
]
Count = Annotated[int, Query(ge=1, le=MAX_K, description="How many hits to return.")]
Skip = Annotated[int, Query(ge=0, le=MAX_OFFSET, description="How many hits to skip first.")]
Tags = Annotated[
    list[str] | None,
    Query(max_length=MAX_FILTER_TAGS, description="Only videos with this tag. Repeat it to require several tags."),
]
LevelWeights = Annotated[
    str, Query(max_length=200, description="Weights of levels: `entity=2,action=1`.", examples=["entity=2,action=1"])
]
Least = Annotated[float | None, Query(allow_inf_nan=False, description="Minimum score of a hit.")]


@router.get("/clips", summary="Clips for a sentence (GET)", responses=problems(400, 422, 429, 503))
async def find_clips(
    q: Sentence,
    request: Request,
    engine: EngineDep,
    k: Count = 10,
    offset: Skip = 0,
    tag: Tags = None,
    weights: LevelWeights = "",
    min_score: Least = None,
    rerank: Rerank = False,
) -> ClipAnswer:
    """As `POST /v1/search/clips`, which can ask for more."""
    given = {"query": q, "k": k, "offset": offset, "min_score": min_score, "weights": _weights(weights)}
    body = ClipSearch.model_validate({**given, "rerank": rerank})
    if tag:
        body.filter = Filter(tags=tag)
    (answer,) = await until_disconnect(request, engine.search_clips([q], search_options(body), caller(request)))
    engine.metrics.answered(answer.took_ms)
    return ready_json(answer)


def _weights(text: str) -> dict[str, float]:
    """Raises InputError."""
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise InputError(f"weights: {part!r} must have the form LEVEL=NUMBER, such as action=2.") from None
    return found
