"""Uploads that stay, to be indexed: a folder with a subfolder for each upload, and a quota."""

from __future__ import annotations

import itertools
import re
import shutil
import unicodedata
import uuid
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from fastapi import Request
from starlette.datastructures import UploadFile

from quartet.errors import InputError
from service.http.uploads.form_files import file_path, read_form
from service.http.uploads.searched_files import invalid
from service.http.uploads.upload_quota import Quota
from service.settings import Settings

MAX_FILES = 100
"""Files of one upload."""

_MAX_NAME_BYTES = 200
"""Bytes of a file's name; file systems take 255."""


class UploadStore:
    """Where uploads are kept, if the settings name a folder for them."""

    def __init__(self, settings: Settings) -> None:
        self._folder = None if settings.upload_folder is None else settings.upload_folder.resolve()
        self._quota = None if self._folder is None else Quota(self._folder, settings.upload_quota_bytes)

    def place(self) -> tuple[Path, Quota]:
        """The folder of the uploads and its quota. Raises InputError where there is none."""
        if self._folder is None or self._quota is None:
            raise InputError("Uploads are off. Set QUARTET_UPLOAD_FOLDER.")
        return self._folder, self._quota

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[Sequence[Path]]:
        """The uploaded files of a request, in a folder of their own, under the names that they came with.

        They stay unless the context ends with an error. Raises RequestValidationError, InputError without a folder,
        and ProblemError (507) or OSError when there is no room for them.
        """
        folder, quota = self.place()
        name = uuid.uuid4().hex
        async with quota.admit(request, name) as counted:
            # No indexer looks into a hidden folder: it sees the upload when all of it is there.
            partial = folder / f".{name}"
            try:
                partial.mkdir(parents=True)
                form = await read_form(counted, partial, MAX_FILES, 0)
                uploads = [upload for upload in form.getlist("file") if isinstance(upload, UploadFile)]
                if not uploads or len(uploads) != len(form.multi_items()):
                    raise invalid("file", "Send video files in parts that are all named 'file'.")
                paths = _name(uploads, partial)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            try:
                yield paths
            except BaseException:
                shutil.rmtree(paths[0].parent)
                raise


def new_home(folder: Path) -> Path:
    """A name for a folder of uploads that is not taken: the time, by which people find it in lists of folders."""
    name = f"{datetime.now():%Y-%m-%d %H.%M.%S}"
    later = (f"{name} ({n})" for n in itertools.count(2))
    return next(folder / free for free in itertools.chain([name], later) if not (folder / free).exists())


def _name(uploads: Sequence[UploadFile], partial: Path) -> list[Path]:
    """Give the files of `partial` their names, and that folder its own."""
    names: list[str] = []
    # In a folder of their own: a name that somebody chose may be that of another file there.
    named = partial / "named"
    named.mkdir()
    for upload in uploads:
        names.append(file_name(upload.filename or "", names))
        file_path(upload).rename(named / names[-1])
    home = named.rename(new_home(partial.parent))
    return [home / name for name in names]


def file_name(given: str, taken: Collection[str]) -> str:
    """A safe name for a file that is called `given`, as much of that as can be kept, and none of those `taken`."""
    # Only the last part of a path, and of that only what can be no hidden file.
    name = "".join(c for c in re.split(r"[/\\]", given)[-1] if c.isprintable())
    name = unicodedata.normalize("NFC", name).rstrip().lstrip(". ") or "video"
    stem, suffix = Path(name).stem, Path(name).suffix
    suffix = "" if len(suffix) > 10 else suffix
    stem = name.removesuffix(suffix).encode()[: _MAX_NAME_BYTES - len(suffix.encode())].decode(errors="ignore")
    name, n = f"{stem}{suffix}", 2
    # Some file systems take names that differ in the case of letters for the same.
    known = {other.casefold() for other in taken}
    while name.casefold() in known:
        name, n = f"{stem} ({n}){suffix}", n + 1
    return name
