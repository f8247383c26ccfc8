"""Uploaded files that a job reads once: in the library's folder, so that a job which waits for a restart has them."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request
from starlette.datastructures import UploadFile

from quartet.errors import InputError
from service.http.served_libraries import served
from service.http.uploads.form_files import file_path, read_form
from service.http.uploads.searched_files import invalid
from service.http.uploads.stored_uploads import file_name


@asynccontextmanager
async def kept_files(
    request: Request, most: int, fields: Collection[str]
) -> AsyncIterator[tuple[Sequence[Path], Mapping[str, str]]]:
    """The files of a form (parts `file`) in a folder of their own, and its other fields, which are some of `fields`.

    The files stay unless the context ends with an error. Raises RequestValidationError, and OSError when there is no
    room for them. What raises InputError in the context names the files alone.
    """
    settings = served(request).settings
    if settings.library is None:
        raise InputError("This service has no library of its own.")
    home = settings.library / "service" / "given" / uuid.uuid4().hex[:12]
    received = home / "received"
    received.mkdir(parents=True)
    try:
        form = await read_form(request, received, most, len(fields))
        paths: list[Path] = []
        for name, value in form.multi_items():
            if not isinstance(value, UploadFile) and name in fields:
                continue
            if not isinstance(value, UploadFile) or name != "file":
                raise invalid(name, f"{name} is not a part of this form.")
            path = home / file_name(value.filename or "", [path.name for path in paths])
            file_path(value).rename(path)
            paths.append(path)
        if not paths:
            raise invalid("file", "Send a file in the part 'file'.")
        received.rmdir()
        yield paths, {name: value for name, value in form.items() if isinstance(value, str)}
    except BaseException as error:
        shutil.rmtree(home, ignore_errors=True)
        if isinstance(error, InputError):
            # Its place on this machine is nobody's business.
            raise InputError(str(error).replace(f"{home}/", "")) from None
        raise
