"""Multipart uploads: to a temporary file while they are used, or into a folder where they stay to be indexed.

How large and how slow they may be is limited by `service.middleware`.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from model.errors import InputError
from service.schemas.search import CaptionUpload

MAX_FILES = 100
"""Files of one upload that is kept."""

_FIELDS = 8


@asynccontextmanager
async def received_video(request: Request) -> AsyncIterator[tuple[Path, CaptionUpload]]:
    """The uploaded file on disk, for as long as the context lasts, and the fields beside it.

    The form has a part `file`, and may have the fields of `CaptionUpload` (`weights` as JSON text). Raises
    RequestValidationError.
    """
    form = await request.form(max_files=1, max_fields=_FIELDS)
    try:
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise _invalid("file", "Send a video file in the part 'file'.")
        fields = _fields({name: value for name, value in form.items() if isinstance(value, str)})
        with tempfile.TemporaryDirectory(prefix="quartet-") as folder:
            path = Path(folder) / "upload"
            await asyncio.to_thread(_write, upload, path)
            yield path, fields
    finally:
        await form.close()


@asynccontextmanager
async def kept_videos(request: Request, folder: Path | None) -> AsyncIterator[tuple[Sequence[Path], Path]]:
    """Uploaded files in `folder`, under names that no other file has, and the folder itself.

    They stay unless the context ends with an error. Raises RequestValidationError, and InputError without a folder.
    """
    if folder is None:
        raise InputError("This service takes no videos to index. It needs a folder for them: QUARTET_UPLOAD_FOLDER.")
    form = await request.form(max_files=MAX_FILES, max_fields=0)
    paths: list[Path] = []
    try:
        uploads = [upload for upload in form.getlist("file") if isinstance(upload, UploadFile)]
        if not uploads or len(uploads) != len(form.multi_items()):
            raise _invalid("file", "Send video files in parts that are all named 'file'.")
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        for upload in uploads:
            # One at a time: when one fails, those before it are known and removed.
            paths.append(await asyncio.to_thread(_keep, upload, folder.resolve()))  # noqa: PERF401
        yield paths, folder.resolve()
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise
    finally:
        await form.close()


def _keep(upload: UploadFile, folder: Path) -> Path:
    """Write an upload under a name of its own: what is safe of the name it came with, after something random."""
    # Only the last part of a path, and of that only what can be no path, no hidden file and no option.
    name = re.sub(r"[^\w.-]+", "_", re.split(r"[/\\]", upload.filename or "")[-1]).lstrip(".-_")[-100:]
    path = folder / f"{uuid.uuid4().hex[:12]}-{name or 'video'}"
    # No indexer looks at a hidden file: it sees the upload when it is complete.
    partial = path.with_name(f".{path.name}")
    try:
        _write(upload, partial)
        return partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write(upload: UploadFile, path: Path) -> None:
    with path.open("wb") as target:
        shutil.copyfileobj(upload.file, target)


def _fields(given: dict[str, str]) -> CaptionUpload:
    values: dict[str, object] = dict(given)
    if "weights" in given:
        try:
            values["weights"] = json.loads(given["weights"])
        except ValueError:
            raise _invalid("weights", 'weights must be a JSON object, such as {"action": 2}.') from None
    try:
        return CaptionUpload.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from None


def _invalid(field: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"type": "value_error", "loc": ("body", field), "msg": message}])
