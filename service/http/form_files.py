"""Forms whose files are written where they are wanted: one copy on the disk, and none in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

from fastapi import HTTPException, Request
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser


async def read_form(request: Request, folder: Path, max_files: int, max_fields: int) -> FormData:
    """The form that `request` carries; its files are closed and are in `folder` (`file_path`).

    Raises HTTPException (400) for a malformed form, OSError where the disk does not take it.
    """
    parser = _Parser(request.headers, request.stream(), folder, max_files, max_fields)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from None
    await form.close()
    return form


def file_path(upload: UploadFile) -> Path:
    """Where a file of `read_form` is."""
    return Path(upload.file.name)


class _Parser(MultiPartParser):
    """Starlette's parser keeps files in memory, then in files without a name, from which they would be copied."""

    def __init__(
        self, headers: Headers, stream: AsyncGenerator[bytes, None], folder: Path, max_files: int, max_fields: int
    ) -> None:
        super().__init__(headers, stream, max_files=max_files, max_fields=max_fields)
        self._folder = folder

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        upload = self._current_part.file
        if upload is not None:
            upload.file.close()
            upload.file = (self._folder / str(self._current_files)).open("w+b")
            self._files_to_close_on_error[-1] = upload.file  # type: ignore[call-overload]
