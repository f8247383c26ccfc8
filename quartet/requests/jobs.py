"""Indexing: jobs, and uploads in pieces."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx2

from quartet.requests.request import Progress, Request, read_as, read_nothing
from quartet.schemas.jobs import Job, JobList
from quartet.schemas.uploads import StoredUpload

MAX_UPLOADS = 100
"""Uploads of one job."""

_TUS = {"Tus-Resumable": "1.0.0"}


def index_folder(folder: str, path: str = ".", ocr: bool = False, speech: str | None = None) -> Request[Job]:
    """Have a folder of the service's machine indexed; `folder` is one of `jobs().folders`.

    ocr     read text on screen too
    speech  transcribe what is said too, with this prepared model of the service
    """
    body = {"folder": folder, "path": path, **_more_texts(ocr, speech)}
    return Request(read_as(Job), "POST", "/v1/jobs", json=body)


def index_files(files: Sequence[Path], progress: Progress | None = None) -> Request[Job]:
    """Send videos in one request, and have them indexed by one job. `index_video` goes on after a break; this does not.

    They stay in the service's folder for uploads.
    """
    return Request(read_as(Job), "POST", "/v1/jobs/upload", files=[("file", file) for file in files], progress=progress)


def job(job_id: str) -> Request[Job]:
    """State, progress and in the end the result of a job."""
    return Request(read_as(Job), "GET", f"/v1/jobs/{job_id}")


def jobs() -> Request[JobList]:
    """The jobs since the service began, and what may be indexed."""
    return Request(read_as(JobList), "GET", "/v1/jobs")


def cancel(job_id: str) -> Request[Job]:
    """Stop a job. What it has done so far is published."""
    return Request(read_as(Job), "POST", f"/v1/jobs/{job_id}/cancel")


def follow(job_id: str, heard: Callable[[Job], None]) -> Request[None]:
    """Call `heard` with the job now and after each of its changes, until it ends. `wait` goes on after a break."""

    def receive(data: str) -> None:
        heard(Job.model_validate_json(data))

    return Request(read_nothing, "GET", f"/v1/jobs/{job_id}/events", events=receive)


def create_upload(name: str, size: int) -> Request[StoredUpload]:
    """Begin the upload of a video of `size` bytes that is called `name`."""
    metadata = f"filename {base64.b64encode(name.encode()).decode()}"
    headers = {**_TUS, "Upload-Length": str(size), "Upload-Metadata": metadata}
    return Request(read_as(StoredUpload), "POST", "/v1/uploads", headers=headers)


def stored_upload(upload_id: str) -> Request[StoredUpload]:
    """How much of an upload the service has."""
    return Request(read_as(StoredUpload), "GET", f"/v1/uploads/{upload_id}", headers=_TUS)


def send_piece(upload_id: str, offset: int, content: bytes) -> Request[int]:
    """Send the bytes of an upload from `offset` on; returns how many of it the service has then."""
    headers = {**_TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    return Request(_offset, "PATCH", f"/v1/uploads/{upload_id}", content=content, headers=headers)


def delete_upload(upload_id: str) -> Request[None]:
    """Give up an upload."""
    return Request(read_nothing, "DELETE", f"/v1/uploads/{upload_id}", headers=_TUS)


def index_upload(upload_id: str) -> Request[Job]:
    """Have an upload indexed that is complete. Once more for the same one, it is the same job."""
    return Request(read_as(Job), "POST", f"/v1/uploads/{upload_id}/job")


def index_uploads(upload_ids: Sequence[str], ocr: bool = False, speech: str | None = None) -> Request[Job]:
    """Have uploads indexed by one job: at most `MAX_UPLOADS`, all complete. Asked again, it is the same job.

    `ocr` and `speech` as in `index_folder`.
    """
    body = {"uploads": list(upload_ids), **_more_texts(ocr, speech)}
    return Request(read_as(Job), "POST", "/v1/uploads/job", json=body)


def _more_texts(ocr: bool, speech: str | None) -> dict[str, bool | str]:
    return ({"ocr": True} if ocr else {}) | ({"speech": speech} if speech is not None else {})


def _offset(response: httpx2.Response) -> int:
    return int(response.headers["upload-offset"])
