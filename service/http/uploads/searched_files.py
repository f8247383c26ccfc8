"""Multipart uploads that are searched with: in a temporary file while they are used.

Those that stay are in `stored_uploads`. How large and how slow they may be is limited by `http.middleware`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from quartet.schemas.search import CaptionUpload
from service.http.uploads.form_files import file_path, read_form

_FIELDS = 8


@asynccontextmanager
async def received_video(request: Request) -> AsyncIterator[tuple[Path, CaptionUpload]]:
    """The uploaded file on disk, for as long as the context lasts, and the fields next to it.

    The form has a part `file`, and may have the fields of `CaptionUpload` (`weights` as JSON text). Raises
    RequestValidationError.
    """
    with tempfile.TemporaryDirectory(prefix="quartet-") as folder:
        form = await read_form(request, Path(folder), 1, _FIELDS)
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise invalid("file", "Send a video file in the part 'file'.")
        fields = _fields({name: value for name, value in form.items() if isinstance(value, str)})
        yield file_path(upload), fields


@asynccontextmanager
async def received_files(
    request: Request, most: int, fields: int
) -> AsyncIterator[tuple[dict[str, Path], dict[str, str]]]:
    """The uploaded files of a form on disk, by the names of their parts, and its other fields.

    They are there for as long as the context lasts. Raises RequestValidationError for a name that comes twice.
    """
    with tempfile.TemporaryDirectory(prefix="quartet-") as folder:
        form = await read_form(request, Path(folder), most, fields)
        paths: dict[str, Path] = {}
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if name in paths:
                    raise invalid(name, f"Two files have the name {name!r}. Give each form part its own name.")
                paths[name] = file_path(value)
        yield paths, {name: value for name, value in form.items() if isinstance(value, str)}


def _fields(given: dict[str, str]) -> CaptionUpload:
    values: dict[str, object] = dict(given)
    if "weights" in given:
        try:
            values["weights"] = json.loads(given["weights"])
        except (RecursionError, ValueError):
            raise invalid("weights", 'weights must be a JSON object, such as {"action": 2}.') from None
    try:
        return CaptionUpload.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from None


def invalid(field: str, message: str) -> RequestValidationError:
    """What to raise for a part of a form."""
    return RequestValidationError([{"type": "value_error", "loc": ("body", field), "msg": message}])
