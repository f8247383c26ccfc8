"""Multipart uploads: kept in a temporary file while they are used."""

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

from service.schemas.search import CaptionUpload


@asynccontextmanager
async def received_video(request: Request) -> AsyncIterator[tuple[Path, CaptionUpload]]:
    """The uploaded file on disk, for as long as the context lasts, and the fields beside it.

    The form has a part `file`, and may have the fields of `CaptionUpload` (`weights` as JSON text). Raises
    RequestValidationError for the fields. How large and how slow it may be is limited by `service.middleware`.
    """
    form = await request.form(max_files=1, max_fields=8)
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
