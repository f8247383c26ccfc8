"""What people see: the page at `/`, the API reference at `/docs`, the kinds of problems at `/problems`.

Everything is served from here; nothing is fetched from another host. The page names its files below a path with a
digest of all of them (`/page/DIGEST/app.js`), and its modules name each other relative to their own: browsers keep them
for a year, and ask for others as soon as one has changed. Without the digest they are asked for each time.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path, PurePosixPath

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from service.http.representations import has_tag
from service.problems import KINDS

router = APIRouter(include_in_schema=False)

_PAGE = Path(__file__).parents[1] / "page"
_TYPES = {".js": "text/javascript", ".svg": "image/svg+xml", ".css": "text/css", ".html": "text/html"}
_REVALIDATE = "no-cache"
_FOREVER = "public, max-age=31536000, immutable"


class Bundle:
    """The files of a folder, read and compressed once."""

    def __init__(self, folder: Path) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
        }
        digest = hashlib.sha256()
        for name, path in self._files.items():
            digest.update(name.encode() + b"\0" + path.read_bytes())
        self.digest = digest.hexdigest()[:16]

    def response(self, request: Request, name: str) -> Response:
        """The file `name`, with or without the digest before it. Raises HTTPException (404)."""
        first, _, rest = name.partition("/")
        dated = first == self.digest
        path = self._files.get(rest if dated else name)
        if path is None:
            raise HTTPException(404)
        return _answer(request, *_read(path), _FOREVER if dated else _REVALIDATE)


@cache
def page_bundle() -> Bundle:
    """Our page."""
    return Bundle(_PAGE)


@cache
def swagger_bundle() -> Bundle:
    """Swagger UI, as the package `fastapi-offline` carries it."""
    return Bundle(Path(str(files("fastapi_offline"))) / "static")


@router.get("/")
def index(request: Request) -> Response:
    """The search page."""
    return _html(request, "index.html")


@router.get("/docs")
def docs(request: Request) -> Response:
    """Swagger UI. FastAPI's own page would load it from another host and run an inline script."""
    return _html(request, "docs.html")


@router.get("/problems")
def problem_kinds(request: Request) -> Response:
    """What the `type` of a problem document leads to."""
    rows = "".join(
        f'<dt id="{kind.slug}"><code>{kind.slug}</code> {kind.status} {escape(kind.title)}</dt>'
        f"<dd>{escape(kind.advice)}</dd>"
        for kind in KINDS
    )
    return _html(request, "problems.html", ("<!-- kinds -->", rows))


@router.get("/page/{name:path}")
def page_file(name: str, request: Request) -> Response:
    """A file of the page."""
    return page_bundle().response(request, name)


@router.get("/swagger/{name:path}")
def swagger_file(name: str, request: Request) -> Response:
    """A file of Swagger UI."""
    return swagger_bundle().response(request, name)


def _html(request: Request, name: str, *replaced: tuple[str, str]) -> Response:
    return _answer(request, *_document(name, *replaced), _REVALIDATE)


@cache
def _document(name: str, *replaced: tuple[str, str]) -> tuple[bytes, bytes, str]:
    text = (_PAGE / name).read_text(encoding="utf-8")
    for start, bundle in (("page/", page_bundle()), ("swagger/", swagger_bundle())):
        text = text.replace(f'="{start}', f'="{start}{bundle.digest}/')
    for before, after in replaced:
        text = text.replace(before, after)
    content = text.encode()
    return content, gzip.compress(content, mtime=0), "text/html"


@cache
def _read(path: Path) -> tuple[bytes, bytes, str]:
    """Content, compressed content, content type."""
    content = path.read_bytes()
    suffix = PurePosixPath(path.name).suffix
    kind = _TYPES.get(suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return content, gzip.compress(content, mtime=0), kind


def _answer(request: Request, content: bytes, compressed: bytes, kind: str, cache_control: str) -> Response:
    tag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": cache_control, "Vary": "Accept-Encoding"}
    if has_tag(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    if len(compressed) < len(content) and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        content = compressed
    return Response(content, media_type=kind, headers=headers)
