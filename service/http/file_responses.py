"""Files as responses: entity tags, `304 Not Modified`, and byte ranges (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from fastapi import Request
from starlette.responses import FileResponse, Response
from starlette.types import Message, Receive, Scope, Send

from indexer.store.library import Library
from quartet.errors import NotFoundError
from service.http.addressing import asked_method
from service.http.representations import has_tag
from service.problems import BAD_RANGE, problem_response

VIDEO_TYPES = {
    ".avi": "video/x-msvideo",
    ".flv": "video/x-flv",
    ".m4v": "video/mp4",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
    ".ogv": "video/ogg",
    ".ts": "video/mp2t",
    ".webm": "video/webm",
    ".wmv": "video/x-ms-wmv",
}
"""Content types by suffix. The standard library's table depends on the files of the machine."""


def video_type(path: Path) -> str:
    """The content type of a video file."""
    return VIDEO_TYPES.get(path.suffix.lower(), "application/octet-stream")


def inside_roots(library: Library, path: Path) -> Path:
    """`path`, if it is in a root of the library once links are followed.

    The catalogue names only such files. A link that was put in one's place since is not followed out of the roots.
    Raises NotFoundError.
    """
    resolved = path.resolve()
    if not any(resolved.is_relative_to(root.path.resolve()) for root in library.catalog.roots()):
        raise NotFoundError(f"{path.name} is outside the library's folders. Index the videos again.")
    return resolved


def file_response(request: Request, path: Path, media_type: str, cache_control: str) -> Response:
    """`path` as the answer to `request`; 304 without a body if the client has this version.

    Raises NotFoundError if the file is gone or may not be read.
    """
    try:
        stat = path.stat()
        if not path.is_file():
            raise FileNotFoundError
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"{path.name} is no longer on disk. Index the videos again.") from None
    except OSError as error:
        raise NotFoundError(f"{path.name} cannot be read: {error.strerror}.") from None
    version = f"{stat.st_mtime_ns}-{stat.st_size}-{path.name}"
    headers = {
        "ETag": f'"{hashlib.sha256(version.encode()).hexdigest()[:32]}"',
        "Cache-Control": cache_control,
    }
    if has_tag(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return _RangedFile(path, media_type=media_type, headers=headers, stat_result=stat)


class _RangedFile(FileResponse):
    """Starlette's file response, with a problem document where that one answers a bad range in plain text."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        replaced = False

        async def send_problem(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                replaced = True
                size = self.headers["content-length"]
                detail = f"The requested range is malformed or outside the {size} bytes of the file."
                headers = {"Content-Range": f"bytes */{size}"}
                problem = problem_response(Request(scope), BAD_RANGE, detail, headers=headers)
                await problem(scope, receive, send)
            elif not replaced:
                await send(message)

        # Of a file whose content is not sent, nothing is read.
        await super().__call__({**scope, "method": asked_method(scope)}, receive, send_problem)
