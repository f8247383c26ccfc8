"""Uploads that can be resumed: what has arrived of them, next to the uploads that are complete.

The protocol is tus 1.0 (https://tus.io/protocols/resumable-upload): its core, creation and termination. Own code,
because these uploads share folder, quota and limits with the others, and answer with problem documents.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fastapi import Request

from quartet.errors import NotFoundError
from quartet.schemas.uploads import StoredUpload
from service.http.uploads.stored_uploads import UploadStore, file_name, new_home
from service.problems import CONFLICT, TOO_LARGE, ProblemError

KEPT_SECONDS = 24 * 3600.0
"""How long an upload that nobody sends more of is kept."""

_ID = re.compile(r"[0-9a-f]{32}")
_CONTENT, _ABOUT = "content", "upload.json"


class ResumableUploads:
    """Each is in a hidden folder, which no indexer sees, with its bytes and what it is. For the event loop's thread.

    most  bytes that one may have
    """

    def __init__(self, store: UploadStore, most: int) -> None:
        self._store = store
        self.most = most
        self._writing: set[str] = set()

    async def create(self, name: str, size: int) -> StoredUpload:
        """Begin an upload of `size` bytes. Raises InputError without a folder, ProblemError (413, 507) without room."""
        folder, quota = self._store.place()
        if size > self.most:
            raise ProblemError(TOO_LARGE, f"An upload may have at most {self.most:,} bytes, and this has {size:,}.")
        await asyncio.to_thread(self._forget_old, folder)
        upload = StoredUpload(id=uuid.uuid4().hex, name=file_name(name, [_ABOUT, _CONTENT]), size=size, received=0)
        await quota.promise(upload.id, size)
        try:
            home = folder / f".{upload.id}"
            home.mkdir(parents=True)
            (home / _ABOUT).write_text(upload.model_dump_json(), encoding="utf-8")
            (home / _CONTENT).touch()
        except BaseException:
            self.remove(upload.id)
            raise
        return upload

    def find(self, upload_id: str) -> StoredUpload:
        """Raises NotFoundError."""
        home = self._home(upload_id)
        try:
            upload = StoredUpload.model_validate_json((home / _ABOUT).read_bytes())
            received = (home / _CONTENT).stat().st_size
        except FileNotFoundError:
            raise _unknown(upload_id) from None
        return upload.model_copy(update={"received": received})

    async def append(self, request: Request, upload_id: str, offset: int) -> int:
        """Keep the body of `request`, the bytes from `offset` on; returns how many there are then.

        What has arrived before an error stays. Raises ProblemError: 409 if they have another offset or another request
        is sending some, 413 if they are too many, 507 if there is no room.
        """
        upload = self.find(upload_id)
        if upload_id in self._writing:
            raise ProblemError(CONFLICT, "Another request is sending this upload. Wait until it has ended.")
        if offset != upload.received:
            raise ProblemError(CONFLICT, f"The upload has {upload.received:,} bytes: send those from there on.")
        _, quota = self._store.place()
        self._writing.add(upload_id)
        try:
            # A service that was started again has promised nothing yet.
            await quota.promise(upload_id, upload.size)
            with (self._home(upload_id) / _CONTENT).open("ab") as file:
                async for piece in request.stream():
                    offset += len(piece)
                    if offset > upload.size:
                        detail = f"The upload has {upload.size:,} bytes, and more were sent."
                        raise ProblemError(TOO_LARGE, detail, {"Connection": "close"})
                    await asyncio.to_thread(file.write, piece)
        finally:
            self._writing.discard(upload_id)
        return offset

    def remove(self, upload_id: str) -> None:
        """Give up an upload."""
        _, quota = self._store.place()
        shutil.rmtree(self._home(upload_id), ignore_errors=True)
        quota.dropped(upload_id)

    @contextmanager
    def completed(self, upload_ids: Sequence[str]) -> Iterator[list[Path]]:
        """The files of uploads, together in one folder, as other uploads are kept. After an error they stay uploads.

        Raises NotFoundError, ProblemError (409) if bytes are lacking.
        """
        uploads = [self._complete(upload_id) for upload_id in dict.fromkeys(upload_ids)]
        folder, quota = self._store.place()
        home = new_home(folder)
        home.mkdir()
        moved: dict[Path, Path] = {}
        try:
            for upload in uploads:
                path = home / file_name(upload.name, [other.name for other in moved.values()])
                content = self._home(upload.id) / _CONTENT
                moved[content] = content.rename(path)
            yield list(moved.values())
        except BaseException:
            for content, path in moved.items():
                path.rename(content)
            home.rmdir()
            raise
        for upload in uploads:
            shutil.rmtree(self._home(upload.id))
            quota.kept(upload.id)

    def _complete(self, upload_id: str) -> StoredUpload:
        upload = self.find(upload_id)
        if upload.received < upload.size or upload_id in self._writing:
            detail = f"{upload.received:,} of the {upload.size:,} bytes of {upload.name} have arrived. "
            raise ProblemError(CONFLICT, detail + "Send the others first.")
        return upload

    def _home(self, upload_id: str) -> Path:
        folder, _ = self._store.place()
        if not _ID.fullmatch(upload_id):
            raise _unknown(upload_id)
        return folder / f".{upload_id}"

    def _forget_old(self, folder: Path) -> None:
        """Remove what nobody has sent more of for `KEPT_SECONDS`."""
        for about in folder.glob(f".*/{_ABOUT}"):
            home, upload_id = about.parent, about.parent.name.removeprefix(".")
            content = home / _CONTENT
            if not content.is_file() or upload_id in self._writing:
                continue
            if time.time() - content.stat().st_mtime > KEPT_SECONDS:
                self.remove(upload_id)


def _unknown(upload_id: str) -> NotFoundError:
    return NotFoundError(
        f"There is no upload {upload_id}. One that nobody sends more of is forgotten after a day, and one that "
        "was indexed is gone."
    )
