"""Multipart uploads: counted while they arrive, kept in a temporary file while they are used."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.types import Message

from service.problems import TOO_LARGE, ProblemError
from service.schemas import CaptionUpload


@asynccontextmanager
async def received_video(request: Request, max_bytes: int) -> AsyncIterator[tuple[Path, CaptionUpload]]:
    """The uploaded file on disk, for as long as the context lasts, and the fields beside it.

    The form has a part `file`, and may have `k` and `weights` (a JSON object). Raises ProblemError (413)
    past `max_bytes`, by the declared length or by what arrives, and RequestValidationError for the fields.
    """
    limited = _LimitedBody(request, max_bytes)
    try:
        form = await limited.request.form(max_files=1, max_fields=4)
    except HTTPException:
        if limited.exceeded:
            raise limited.problem() from None
        raise
    try:
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise _invalid("file", "Send a video file in the part 'file'.")
        fields = _fields({name: value for name, value in form.items() if isinstance(value, str)})
        with tempfile.TemporaryDirectory(prefix="quartet-") as folder:
            path = Path(folder) / "upload"
            with path.open("wb") as target:
                await asyncio.to_thread(shutil.copyfileobj, upload.file, target)
            yield path, fields
    finally:
        await form.close()


class _LimitedBody:
    """A request whose body stops with an error once it is longer than `max_bytes`."""

    def __init__(self, request: Request, max_bytes: int) -> None:
        self._receive = request.receive
        self._max_bytes = max_bytes
        self._received = 0
        declared = request.headers.get("content-length", "")
        self.request = Request(request.scope, self._limited_receive)
        if declared.isdecimal() and int(declared) > max_bytes:
            raise self.problem()

    @property
    def exceeded(self) -> bool:
        return self._received > self._max_bytes

    def problem(self) -> ProblemError:
        return ProblemError(TOO_LARGE, f"An upload may have at most {self._max_bytes} bytes. Send a shorter video.")

    async def _limited_receive(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self.exceeded:
            # The form parser closes its temporary files for this exception and turns it into a 400.
            raise MultiPartException("too large")
        return message


def _fields(given: dict[str, str]) -> CaptionUpload:
    values: dict[str, object] = dict(given)
    if "weights" in given:
        try:
            values["weights"] = json.loads(given["weights"])
        except json.JSONDecodeError:
            raise _invalid("weights", 'weights must be a JSON object, such as {"action": 2}.') from None
    try:
        return CaptionUpload.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from None


def _invalid(field: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"type": "value_error", "loc": ("body", field), "msg": message}])
