"""`/v1/uploads`: videos in pieces, to be indexed (tus 1.0, https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response

from quartet.errors import InputError
from quartet.schemas.jobs import Job, MoreTexts
from quartet.schemas.uploads import StoredUpload, UploadsToIndex
from service.http.addressing import location
from service.http.routes.dependencies import problems
from service.http.routes.jobs import ACCEPTED, JobsDep, RepeatKey, accepted, file_summary
from service.http.served_libraries import served
from service.http.uploads.resumable_uploads import ResumableUploads
from service.problems import UNSUPPORTED_TYPE, UNSUPPORTED_VERSION, ProblemError

VERSION = "1.0.0"
CHUNK_TYPE = "application/offset+octet-stream"

Version = Annotated[str, Header(alias="Tus-Resumable", description=f"The version of the protocol: {VERSION}.")]
Size = Annotated[int, Header(alias="Upload-Length", ge=0, le=2**63 - 1, description="Bytes of all of it.")]
Start = Annotated[int, Header(alias="Upload-Offset", ge=0, le=2**63 - 1, description="Bytes that have arrived before.")]
Metadata = Annotated[
    str,
    Header(
        alias="Upload-Metadata",
        max_length=4000,
        description="`filename`, a blank and the file's name in Base64.",
        examples=["filename aG9saWRheS5tcDQ="],
    ),
]

_INTEGER = {"schema": {"type": "integer"}}
_OFFSET = {"Upload-Offset": {"description": "Bytes that have arrived.", **_INTEGER}}
_BODY = {"required": True, "content": {CHUNK_TYPE: {"schema": {"type": "string", "format": "binary"}}}}


def _speak(response: Response, version: Version = VERSION) -> None:
    """Raises ProblemError (412) for another version of the protocol."""
    response.headers["Tus-Resumable"] = VERSION
    if version != VERSION:
        headers = {"Tus-Version": VERSION}
        raise ProblemError(UNSUPPORTED_VERSION, f"Uploads speak tus {VERSION}, not {version}.", headers)


def _get_uploads(request: Request) -> ResumableUploads:
    uploads: ResumableUploads = request.app.state.resumable
    return uploads


UploadsDep = Annotated[ResumableUploads, Depends(_get_uploads)]
router = APIRouter(prefix="/v1/uploads", tags=["uploads"], dependencies=[Depends(_speak)])


@router.options("", include_in_schema=False, status_code=204)
async def describe_uploads(response: Response, uploads: UploadsDep) -> None:
    response.headers["Tus-Version"] = VERSION
    response.headers["Tus-Extension"] = "creation,termination"
    response.headers["Tus-Max-Size"] = str(uploads.most)


@router.post(
    "",
    summary="Begin an upload",
    status_code=201,
    responses={
        201: {"headers": {"Location": {"description": "The upload.", "schema": {"type": "string"}}}},
        **problems(412, 413, 422, 507),
    },
)
async def create_upload(
    request: Request, response: Response, uploads: UploadsDep, size: Size, metadata: Metadata = ""
) -> StoredUpload:
    """Begin the upload of a video. Its bytes are sent to the address in `Location`; nothing is indexed yet."""
    upload = await uploads.create(_name(metadata), size)
    response.headers["Location"] = location(request, f"{served(request).address}/uploads/{upload.id}")
    return upload


@router.get(
    "/{upload_id}",
    summary="How much of an upload has arrived",
    responses={200: {"headers": _OFFSET}, **problems(404, 412, 422)},
)
async def get_upload(upload_id: str, response: Response, uploads: UploadsDep) -> StoredUpload:
    """Where to go on with an upload: `Upload-Offset`, which HEAD gives too."""
    upload = uploads.find(upload_id)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Upload-Length"], response.headers["Upload-Offset"] = str(upload.size), str(upload.received)
    return upload


@router.patch(
    "/{upload_id}",
    summary="Send a piece of an upload",
    status_code=204,
    responses={204: {"headers": _OFFSET}, **problems(404, 408, 409, 412, 413, 415, 422, 507)},
    openapi_extra={"requestBody": _BODY},
)
async def send_piece(upload_id: str, request: Request, response: Response, uploads: UploadsDep, offset: Start) -> None:
    """Send bytes from `Upload-Offset` on. What has arrived stays when the connection breaks."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != CHUNK_TYPE:
        raise ProblemError(UNSUPPORTED_TYPE, f"Send the bytes with the header Content-Type: {CHUNK_TYPE}.")
    response.headers["Upload-Offset"] = str(await uploads.append(request, upload_id, offset))


@router.delete("/{upload_id}", summary="Give up an upload", status_code=204, responses=problems(404, 412, 422))
async def delete_upload(upload_id: str, uploads: UploadsDep) -> None:
    """Remove what has arrived of an upload."""
    uploads.remove(uploads.find(upload_id).id)


@dataclass
class _JobMaker:
    """Makes a job of uploads; FastAPI gives it what it needs of a request."""

    request: Request
    response: Response
    uploads: UploadsDep
    jobs: JobsDep
    repeat_key: RepeatKey = None

    def job(self, upload_ids: Sequence[str], texts: MoreTexts | None = None) -> Job:
        key = self.repeat_key or " ".join(upload_ids)
        job = self.jobs.repeated(key)
        if job is None:
            with self.uploads.completed(upload_ids) as paths:
                home = paths[0].parent
                job = self.jobs.add([home], home, file_summary(paths), home.parent, key, texts)
        return accepted(self.request, self.response, job)


JobMakerDep = Annotated[_JobMaker, Depends()]
_JOB: dict[str, Any] = {"status_code": 202, "responses": {**ACCEPTED, **problems(404, 409, 412, 422, 429, 503)}}


@router.post("/job", summary="Index uploads", **_JOB)
async def create_job_of_uploads(body: UploadsToIndex, maker: JobMakerDep) -> Job:
    """Keep uploads that are complete and index them, in the background. Asked again, it is the same job."""
    return maker.job(body.uploads, body)


@router.post("/{upload_id}/job", summary="Index an upload", **_JOB)
async def create_job_of_upload(upload_id: str, maker: JobMakerDep) -> Job:
    """Keep an upload that is complete and index it, in the background. Asked again, it is the same job."""
    return maker.job([upload_id])


def _name(metadata: str) -> str:
    """The file's name in the metadata of an upload. Raises InputError for invalid metadata."""
    pairs: dict[str, Any] = {}
    for pair in filter(None, (part.strip() for part in metadata.split(","))):
        key, _, value = pair.partition(" ")
        pairs[key] = value
    try:
        name = base64.b64decode(pairs.get("filename") or pairs.get("name") or "", validate=True)
    except binascii.Error:
        raise InputError("Upload-Metadata must give the filename in Base64: filename aG9saWRheS5tcDQ=.") from None
    return name.decode("utf-8", "replace")
