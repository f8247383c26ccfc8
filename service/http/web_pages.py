"""What people see: the page at `/`, the API reference at `/docs`, the kinds of problems at `/problems`.

Everything is served from here; nothing is fetched from another host.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from service.problems import KINDS

router = APIRouter(include_in_schema=False)

_PAGE = Path(__file__).parents[1] / "page"
_REVALIDATE = {"Cache-Control": "no-cache"}


@router.get("/")
def index() -> FileResponse:
    """The search page."""
    return FileResponse(_PAGE / "index.html", headers=_REVALIDATE)


@router.get("/docs")
def docs() -> FileResponse:
    """Swagger UI. FastAPI's own page would load it from another host and run an inline script."""
    return FileResponse(_PAGE / "docs.html", headers=_REVALIDATE)


@router.get("/problems")
def problem_kinds() -> HTMLResponse:
    """What the `type` of a problem document leads to."""
    rows = "".join(
        f'<dt id="{kind.slug}"><code>{kind.slug}</code> {kind.status} {escape(kind.title)}</dt>'
        f"<dd>{escape(kind.advice)}</dd>"
        for kind in KINDS
    )
    template = (_PAGE / "problems.html").read_text(encoding="utf-8")
    return HTMLResponse(template.replace("<!-- kinds -->", rows), headers=_REVALIDATE)


class _Revalidated(StaticFiles):
    """Files whose names stay the same when they change, so browsers have to ask (and get 304)."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers.update(_REVALIDATE)
        return response


def static_files() -> list[tuple[str, StaticFiles]]:
    """The folders to mount: our page, and Swagger UI as the package `fastapi-offline` carries it."""
    swagger = Path(str(files("fastapi_offline"))) / "static"
    return [("/page", _Revalidated(directory=_PAGE)), ("/swagger", _Revalidated(directory=swagger))]
