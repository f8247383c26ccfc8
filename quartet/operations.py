"""What takes the clients several requests: waiting for a job, an upload in pieces.

An operation is a generator. It yields requests and pauses; a client carries them out, one that blocks or one for
asyncio, and sends back what came of them. So each is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import httpx2

from quartet.errors import ConflictError, InputError, QuartetError, TooSlowError, UnreachableError
from quartet.requests import jobs
from quartet.requests.request import Progress, Request
from quartet.schemas.jobs import Job

R = TypeVar("R")

_CHUNK_BYTES = 4 * 2**20
"""Bytes of a file that are sent in one request, and so at most sent again."""
_BREAKS = 5
"""How often in a row the connection may break before an upload, or waiting, is given up."""
_RETRY_INTERVAL = 1.0
"""Seconds until a job is followed again whose events have ended before it."""


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


Outcome: TypeAlias = httpx2.Response | QuartetError | None
"""An answer, why it is missing, or nothing after a pause."""

Steps: TypeAlias = Generator[Request[Any] | Pause, Any, R]
"""What is to be done, one after another, and what it returns; it is sent an `Outcome` for each."""


class Send(Protocol):
    """The steps from a request to its answer (`Client._send`). Raises what `quartet.errors` has for a problem."""

    def __call__(self, request: Request[R], /) -> Steps[R]: ...


def wait(send: Send, job_id: str, progress: Callable[[Job], None] = lambda job: None) -> Steps[Job]:
    """Wait until a job has ended; `progress` gets it after each change, as the service sends it.

    A connection that breaks, or a proxy that holds back what is sent, does not end it.
    """
    breaks = 0
    while True:
        # Whether the service is there, the next request shows.
        with suppress(UnreachableError):
            yield from send(jobs.follow(job_id, progress))
        try:
            job = yield from send(jobs.job(job_id))
        except UnreachableError:
            breaks += 1
            if breaks > _BREAKS:
                raise
            yield Pause(float(breaks))
            continue
        breaks = 0
        if job.finished is not None:
            return job
        yield Pause(_RETRY_INTERVAL)


def send_upload(send: Send, upload_id: str, file: Path, progress: Progress = lambda sent, size: None) -> Steps[None]:
    """Send what the service does not have of an upload that `create_upload` began, now or in another process.

    A broken connection does not end it: it goes on from what has arrived. `progress` gets the bytes
    that have, and how many there are.
    """
    stored = yield from send(jobs.stored_upload(upload_id))
    sent, breaks = stored.received, 0
    progress(sent, stored.size)
    while sent < stored.size:
        try:
            if breaks:
                sent = (yield from send(jobs.stored_upload(upload_id))).received
            if sent < stored.size:
                sent = yield from send(jobs.send_piece(upload_id, sent, _piece(file, sent)))
        except (ConflictError, TooSlowError, UnreachableError):
            breaks += 1
            if breaks > _BREAKS:
                raise
            yield Pause(float(breaks))
        else:
            breaks = 0
            progress(sent, stored.size)


def index_video(send: Send, video: Path, progress: Progress = lambda sent, size: None) -> Steps[Job]:
    """Upload a video, which is kept, and have it indexed. See `upload_video`."""
    upload_id = yield from upload_video(send, video, progress)
    return (yield from send(jobs.index_upload(upload_id)))


def upload_video(send: Send, video: Path, progress: Progress = lambda sent, size: None) -> Steps[str]:
    """Upload a video and return the id of the upload, for `index_uploads`. See `send_upload`.

    An upload that is not indexed is forgotten by the service after a day.
    """
    try:
        size = video.stat().st_size
    except OSError as error:
        raise InputError(f"{video} cannot be read: {error.strerror}.") from error
    upload = yield from send(jobs.create_upload(video.name, size))
    yield from send_upload(send, upload.id, video, progress)
    return upload.id


def _piece(file: Path, offset: int) -> bytes:
    try:
        with file.open("rb") as opened:
            opened.seek(offset)
            piece = opened.read(_CHUNK_BYTES)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from error
    if not piece:
        raise InputError(f"{file} is shorter than the upload that was begun for it.")
    return piece
