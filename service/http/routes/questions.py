"""`/v1/search/clips/upload`, questions with files, and uploads that later questions name."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from indexer.media.decode_pool import Part
from quartet.schemas.question import MAX_PARTS, Seconds
from quartet.schemas.search import ClipSearch
from quartet.schemas.search_answers import ClipAnswer, Upload
from service.http.content_types import JSON_BODY, file_form, form, require_form
from service.http.routes.dependencies import EngineDep, caller, problems, ready_json, until_disconnect
from service.http.uploads.searched_files import invalid, received_files
from service.search.engine import Engine
from service.search.requests import question, search_options

MAX_FILES = 4
"""Files in addition to a question."""


router = APIRouter(prefix="/v1/search", tags=["search"], dependencies=[JSON_BODY])

QUESTION_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["question"],
    "properties": {
        "question": {"type": "string", "description": "The question as JSON, in the same form as a JSON body."}
    },
    "additionalProperties": {
        "type": "string",
        "format": "binary",
        "description": f"Videos or pictures that parts of the question name. At most {MAX_FILES}.",
    },
}

_FILE = file_form(
    "A video or a picture.",
    start={"type": "number", "minimum": 0, "description": "Start of the part to use, in seconds."},
    end={"type": "number", "minimum": 0, "description": "End of the part to use, in seconds."},
)


class _Stretch(BaseModel):
    """The fields in addition to an uploaded file."""

    model_config = ConfigDict(extra="forbid")

    start: Seconds = 0.0
    end: Seconds | None = Field(default=None)


@router.post(
    "/clips/upload",
    summary="Clips for a question with files",
    responses=problems(400, 404, 408, 413, 415, 422, 429, 503, 507),
    openapi_extra=form(QUESTION_FORM),
)
async def search_clips_upload(request: Request, engine: EngineDep) -> ClipAnswer:
    """Find the clips that a question describes. Files in the same form can be parts of the question."""
    require_form(request)
    engine.decodings.check()
    async with received_files(request, MAX_FILES, MAX_PARTS) as (paths, fields):
        if set(fields) != {"question"}:
            raise invalid(
                "question", "Send the question as JSON in the part 'question', and each file in its own part."
            )
        body = _valid(fields["question"])
        return ready_json(await until_disconnect(request, _search(engine, body, caller(request), paths)))


@router.post(
    "/uploads",
    summary="A file to search with",
    responses=problems(400, 408, 413, 415, 422, 429, 503, 507),
    openapi_extra=_FILE,
)
async def upload_example(request: Request, engine: EngineDep) -> Upload:
    """Encode a video, a part of it or a picture. Use the returned id in parts of a question.

    The file is deleted after analysis. The service keeps the vectors of the latest uploads until it restarts.
    """
    require_form(request)
    engine.decodings.check()
    async with received_files(request, 1, 2) as (paths, fields):
        if set(paths) != {"file"}:
            raise invalid("file", "Send a video or a picture in the part 'file'.")
        try:
            stretch = _Stretch.model_validate(fields)
        except ValidationError as error:
            raise _invalid(error) from None
        if stretch.end is not None and stretch.end <= stretch.start:
            raise invalid("end", f"start ({stretch.start:g} s) must be before end ({stretch.end:g} s).")
        with engine.one_model() as model:
            vectors, clip = await until_disconnect(
                request, engine.encode_upload(paths["file"], Part(stretch.start, stretch.end), caller(request))
            )
            upload = model.uploads.keep(vectors)
    kind: Literal["video", "picture"] = "video" if clip.span.end > clip.span.start else "picture"
    return Upload(upload=upload, kind=kind, start=clip.span.start, end=clip.span.end)


async def _search(engine: Engine, body: ClipSearch, client: str, paths: dict[str, Any]) -> ClipAnswer:
    named = named_uploads(body)
    unused = sorted(set(paths) - named)
    if unused:
        raise invalid(unused[0], f"No part of the question names the file {unused[0]!r}.")
    with engine.one_model():
        given = {name: (await engine.encode_upload(path, client=client))[0] for name, path in paths.items()}
        return await clip_answer(engine, body, client, given)


async def clip_answer(engine: Engine, body: ClipSearch, client: str, files: dict[str, Any] | None = None) -> ClipAnswer:
    """The answer to a question. files: gallery vectors of the files that came with it, by name."""
    with engine.one_model() as model:
        uploads = {**model.uploads.known(named_uploads(body)), **(files or {})}
        (answer,) = await engine.search_clips([question(body, uploads)], search_options(body), client)
    engine.metrics.answered(answer.took_ms)
    return answer


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
