"""Adding captions to the library and removing them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from indexer.texts.caption_files import read_captions
from indexer.texts.captions import remove_captions
from quartet.errors import InputError
from quartet.schemas.jobs import Job
from quartet.schemas.library import CaptionsRemoved
from service.http.content_types import file_form, require_form
from service.http.routes.dependencies import EngineDep, problems
from service.http.routes.jobs import ACCEPTED, JobsDep, RepeatKey, accepted
from service.http.uploads.job_files import kept_files

router = APIRouter(prefix="/v1/captions", tags=["browse"])

CaptionIds = Annotated[
    list[Annotated[int, Query(ge=1, le=2**63 - 1)]] | None,
    Query(alias="caption_id", max_length=1000, description="The captions; repeat it."),
]
Sources = Annotated[
    list[Annotated[str, Query(min_length=1, max_length=1000)]] | None,
    Query(alias="source", max_length=100, description="All captions of the file of this name, and of no other."),
]


_FILE = file_form(
    "A .txt, .jsonl, .csv, .srt, .vtt, .ass or .ssa file.",
    video={"type": "string", "description": "The video that subtitles, or captions that name none, are about."},
)


@router.post(
    "/upload",
    summary="Add captions",
    status_code=202,
    responses={**ACCEPTED, **problems(400, 408, 409, 413, 415, 422, 429, 503, 507)},
    openapi_extra=_FILE,
)
async def add_captions(request: Request, response: Response, jobs: JobsDep, repeat_key: RepeatKey = None) -> Job:
    """Add the captions of a file to the library, in the background. Those that it has are kept once."""
    require_form(request)
    job = jobs.repeated(repeat_key)
    if job is None:
        async with kept_files(request, most=1, fields=("video",)) as (files, fields):
            # A wrong name fails at once, not in the job.
            await asyncio.to_thread(lambda: deque(read_captions(files[0]), maxlen=0))
            options = (f"--video={fields['video']}",) if "video" in fields else ()
            job = jobs.add_files("captions", files[0].name, options, files, repeat_key)
    return accepted(request, response, job)


@router.delete("", summary="Remove captions", responses=problems(404, 409, 422, 503))
def delete_captions(engine: EngineDep, caption_ids: CaptionIds = None, sources: Sources = None) -> CaptionsRemoved:
    """Take captions out of the library, by their ids or by the files that they came from.

    No answer has them from now on.
    """
    if not caption_ids and not sources:
        raise InputError("Name captions with caption_id, or a file that they came from with source.")
    library = engine.library
    texts = [library.catalog.caption(caption_id).text for caption_id in dict.fromkeys(caption_ids or ())]
    report = remove_captions(library.path, texts, sources or [])
    engine.refresh()
    return CaptionsRemoved(removed=report.removed, total=report.total, generation=report.generation)
