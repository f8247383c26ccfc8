"""`/v1/search/clips` with files, and uploads that later questions name."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.routing import Match
from starlette.types import Scope

from indexer.media.decode_pool import Part
from quartet.schemas.question import MAX_PARTS, Seconds
from quartet.schemas.search import ClipAnswer, ClipAnswers, ClipSearch, Upload
from service.http.routes.dependencies import EngineDep, problems, until_disconnect
from service.http.uploads import invalid, received_files
from service.search.engine import Engine
from service.search.requests import questions, search_options

MAX_FILES = 4
"""Files beside a question."""


class _FormRoute(APIRoute):
    """Answers forms alone: JSON to the same path is for another route."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        headers = dict(scope.get("headers", ()))
        if not headers.get(b"content-type", b"").lower().startswith(b"multipart/form-data"):
            return Match.NONE, {}
        return match, child


router = APIRouter(prefix="/v1/search", tags=["search"])

QUESTION_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["question"],
    "properties": {"question": {"type": "string", "description": "The question as JSON, as a body of JSON would be."}},
    "additionalProperties": {
        "type": "string",
        "format": "binary",
        "description": f"A video or a picture that parts of the question name; at most {MAX_FILES}.",
    },
}
_UPLOAD_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "A video or a picture."},
        "start": {"type": "number", "minimum": 0, "description": "Seconds: where the part that counts begins."},
        "end": {"type": "number", "minimum": 0, "description": "Seconds: where it ends."},
    },
}


class _Stretch(BaseModel):
    """The fields beside an uploaded file."""

    model_config = ConfigDict(extra="forbid")

    start: Seconds = 0.0
    end: Seconds | None = Field(default=None)


async def search_with_files(request: Request, engine: EngineDep) -> Response:
    """Find the clips that a question describes, some of whose parts are files of the same form."""
    async with received_files(request, MAX_FILES, MAX_PARTS) as (paths, fields):
        if set(fields) != {"question"}:
            raise invalid(
                "question", "Send the question as JSON in the part 'question', and files in parts of their own."
            )
        body = _valid(fields["question"])
        return await until_disconnect(request, _search(engine, body, paths))


router.add_api_route(
    "/clips", search_with_files, methods=["POST"], route_class_override=_FormRoute, include_in_schema=False
)


@router.post(
    "/uploads",
    summary="A file to search with",
    responses=problems(400, 408, 413, 422, 429, 503, 507),
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _UPLOAD_FORM}}}},
)
async def upload(request: Request, engine: EngineDep) -> Upload:
    """Encode a video, a stretch of it or a picture. Parts of questions name it by the id that this answers.

    The file is not kept. A service keeps the latest uploads, and none when it starts again.
    """
    async with received_files(request, 1, 2) as (paths, fields):
        if set(paths) != {"file"}:
            raise invalid("file", "Send a video or a picture in the part 'file'.")
        try:
            stretch = _Stretch.model_validate(fields)
        except ValidationError as error:
            raise _invalid(error) from None
        if stretch.end is not None and stretch.end <= stretch.start:
            raise invalid("end", f"The part from {stretch.start:g} s to {stretch.end:g} s is empty. Let it end later.")
        vectors, clip = await until_disconnect(
            request, engine.encode_upload(paths["file"], Part(stretch.start, stretch.end))
        )
    kind: Literal["video", "picture"] = "video" if clip.span.end > clip.span.start else "picture"
    return Upload(upload=engine.uploads.keep(vectors), kind=kind, start=clip.span.start, end=clip.span.end)


async def _search(engine: Engine, body: ClipSearch, paths: dict[str, Any]) -> Response:
    named = named_uploads(body)
    unused = sorted(set(paths) - named)
    if unused:
        raise invalid(unused[0], f"No part of the question names the file {unused[0]!r}.")
    given = {name: (await engine.encode_upload(path))[0] for name, path in paths.items()}
    return await clip_answer(engine, body, given)


async def clip_answer(engine: Engine, body: ClipSearch, files: dict[str, Any] | None = None) -> Response:
    """The answer to a question as JSON. files: gallery vectors of the files that came with it, by name."""
    uploads = {**engine.uploads.known(named_uploads(body)), **(files or {})}
    answers = await engine.search_clips(questions(body, uploads), search_options(body))
    for one in answers:
        engine.metrics.answered(one.took_ms)
    answer: ClipAnswer | ClipAnswers = ClipAnswers(answers=answers) if isinstance(body.query, list) else answers[0]
    # The answer is valid by its making: FastAPI would go through all of it once more.
    return Response(answer.model_dump_json(), media_type="application/json")


def named_uploads(body: ClipSearch) -> set[str]:
    """The uploads that a question names."""
    parts = [*body.parts, *(part for then in body.then for part in then.parts)]
    return {part.upload for part in parts if part.upload is not None}


def _valid(text: str) -> ClipSearch:
    try:
        return ClipSearch.model_validate_json(text)
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> RequestValidationError:
    return RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()])
