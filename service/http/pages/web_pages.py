"""What people see: the page at `/`, the API reference at `/docs`, the kinds of problems at `/problems`.

Everything is served from here; nothing is fetched from another host. The page names its files below a path with a
digest of all of them (`/page/DIGEST/app.js`): browsers keep them for a year, and ask for others as soon as one has
changed. Without the digest they are asked for each time. The modules and the sheets of the page come as one file each
(`page_bundle`).
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from service.http.pages.page_bundle import language_files, scripts, style
from service.http.representations import has_tag
from service.problems import KINDS

router = APIRouter(include_in_schema=False)

_PAGE = Path(__file__).parents[2] / "page"
_TYPES = {
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".css": "text/css",
    ".html": "text/html",
}
_REVALIDATE = "no-cache"
_FOREVER = "public, max-age=31536000, immutable"


class Bundle:
    """Files by name, read and compressed once."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = {name: (content, gzip.compress(content, mtime=0)) for name, content in files.items()}
        digest = hashlib.sha256()
        for name, content in files.items():
            digest.update(name.encode() + b"\0" + content)
        self.digest = digest.hexdigest()[:16]

    def response(self, request: Request, name: str) -> Response:
        """The file `name`, with or without the digest before it. Raises HTTPException (404)."""
        first, _, rest = name.partition("/")
        dated = first == self.digest
        asked = rest if dated else name
        if asked not in self._files:
            raise HTTPException(404)
        return _answer(request, *self._files[asked], _type_of(asked), _FOREVER if dated else _REVALIDATE)


@cache
def page_bundle() -> Bundle:
    """Our page: what index.html, docs.html and problems.html name."""
    found = {name: (_PAGE / name).read_bytes() for name in ("theme.js", "docs.js")}
    found |= {f"languages/{path.name}": path.read_bytes() for path in language_files(_PAGE)}
    found |= {name: text.encode() for name, text in scripts(_PAGE).items()}
    return Bundle(found | {"app.css": style(_PAGE).encode()})


@cache
def swagger_bundle() -> Bundle:
    """Swagger UI, as the package `fastapi-offline` carries it."""
    folder = Path(str(files("fastapi_offline"))) / "static"
    return Bundle({path.name: path.read_bytes() for path in sorted(folder.glob("swagger-ui*"))})


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
    text = (_PAGE / name).read_text(encoding="utf-8").replace('"page/mark.svg"', f'"{_icon()}"')
    for start, bundle in (("page/", page_bundle()), ("swagger/", swagger_bundle())):
        text = text.replace(f'="{start}', f'="{start}{bundle.digest}/')
    for before, after in replaced:
        text = text.replace(before, after)
    content = text.encode()
    return content, gzip.compress(content, mtime=0), "text/html"


def _icon() -> str:
    """The mark as a URL that costs no request."""
    text = (_PAGE / "mark.svg").read_text(encoding="utf-8").replace('"', "'")
    return "data:image/svg+xml," + quote("".join(line.strip() for line in text.splitlines()), safe=" =:/.'")


def _type_of(name: str) -> str:
    return _TYPES.get(PurePosixPath(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def _answer(request: Request, content: bytes, compressed: bytes, kind: str, cache_control: str) -> Response:
    tag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": cache_control, "Vary": "Accept-Encoding"}
    if has_tag(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    if len(compressed) < len(content) and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        content = compressed
    return Response(content, media_type=kind, headers=headers)
