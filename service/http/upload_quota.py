"""The room that a folder of uploads may take, shared by those that come at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import Request
from starlette.types import Message

from service.problems import NO_ROOM, ProblemError


class Quota:
    """Everything in `folder`, and what is on its way there, may have `most` bytes. For the event loop's thread."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._taken = 0
        # Bytes that are promised to each upload that has not ended, by the name of its folder.
        self._promised: dict[str, int] = {}
        self._ended = 0

    @asynccontextmanager
    async def admit(self, request: Request, name: str) -> AsyncIterator[Request]:
        """`request` with a body that is counted, for an upload into the folder `name`.

        A body that says how long it is needs that much room before any of it is read; of another each piece does as
        it comes. Raises ProblemError (507) where there is none, also from what reads the body. The context ends when
        the upload is kept, or with an error, and then none of its room is taken.
        """
        self._promised[name] = 0
        try:
            await self._measure_if_due()
            declared = request.headers.get("content-length", "")
            if declared.isdecimal():
                self._reserve(name, int(declared), "")
            received = 0

            async def counted() -> Message:
                nonlocal received
                message = await request.receive()
                received += len(message.get("body", b""))
                if received > self._promised[name]:
                    self._reserve(name, received, " or more", {"Connection": "close"})
                return message

            yield Request(request.scope, counted)
        except BaseException:
            del self._promised[name]
            raise
        # Until somebody looks again, what was promised is taken.
        self._taken += self._promised.pop(name)
        self._ended += 1

    def _reserve(self, name: str, size: int, more: str, headers: dict[str, str] | None = None) -> None:
        others = self._taken + sum(self._promised.values()) - self._promised[name]
        if others + size > self._most:
            detail = (
                f"The upload has {size:,} bytes{more}. Other uploads use {others:,} of {self._most:,} bytes. "
                "Delete some uploads and index their folder again, or raise QUARTET_UPLOAD_QUOTA_BYTES."
            )
            raise ProblemError(NO_ROOM, detail, headers)
        self._promised[name] = size

    async def _measure_if_due(self) -> None:
        """Measure the folder: things are deleted there by others, and more so while nobody looks."""
        ended = -1
        # What ended meanwhile may have been seen or not.
        while ended != self._ended:
            ended = self._ended
            taken = await asyncio.to_thread(self._measure)
        self._taken = taken

    def _measure(self) -> int:
        """Bytes of the files in the folder, without those that room was promised to."""
        used = 0
        with suppress(FileNotFoundError):
            for part in self._folder.iterdir():
                # A hidden folder is one of which not all is there yet.
                if part.name.removeprefix(".") in self._promised:
                    continue
                for path in (part, *part.rglob("*")):
                    # One that is deleted meanwhile takes no room.
                    with suppress(FileNotFoundError):
                        used += 0 if path.is_dir() else path.lstat().st_size
        return used
