"""How the first line of a request is read: paths below a proxy's prefix or of a library, and HEAD as GET."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from service.http.served_libraries import ServedLibraries

_IN_LIBRARY = re.compile(r"/v1/libraries/(?P<name>[^/]+)(?P<rest>/.*)", re.DOTALL)
_BESIDE_API = ("/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/problems")
_BELOW = ("/v1/", "/page/", "/swagger/")


class _AnyText(PathConvertor):
    """The end of a path, line breaks included. `path` does not match them, and the answer would be that of no route."""

    regex = r"[\s\S]*"


ANY_TEXT = "text"
"""What routes call it: `{name:text}`."""
register_url_convertor(ANY_TEXT, _AnyText())


class BasePath:
    """ASGI middleware: takes the prefix that a proxy shows the service below off the path, if the proxy has not.

    It is at `request.state.base_path`, for what names an address of the service.
    """

    def __init__(self, app: ASGIApp, base: str) -> None:
        self._app = app
        self._base = base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})["base_path"] = self._base
            path = scope["path"]
            if self._base and path == self._base:
                # Relative addresses of the page need the slash.
                await RedirectResponse(f"{self._base}/", 308)(scope, receive, send)
                return
            if self._base and path.startswith(f"{self._base}/"):
                scope = {**scope, "path": path[len(self._base) :], "raw_path": None}
        await self._app(scope, receive, send)


class LibraryPath:
    """ASGI middleware: takes the address of a library off the path, and notes the library at `request.state.library`.

    Below /v1/libraries/NAME are all paths of the service, for that library: /v1/clips as /v1/libraries/NAME/clips, or
    unchanged, so that the address can be the server of a client that was made from the description of the API.
    """

    def __init__(self, app: ASGIApp, libraries: ServedLibraries) -> None:
        self._app = app
        self._default = libraries.default.name
        self._names = {library.name for library in libraries}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            state = scope.setdefault("state", {})
            state["library"] = self._default
            named = _IN_LIBRARY.fullmatch(scope["path"])
            if named and named["name"] in self._names:
                state["library"], state["asked_path"] = named["name"], scope["path"]
                rest = named["rest"]
                path = rest if rest in _BESIDE_API or rest.startswith(_BELOW) else f"/v1{rest}"
                scope = {**scope, "path": path, "raw_path": None}
        await self._app(scope, receive, send)


class HeadAsGet:
    """ASGI middleware: answers HEAD as GET with the same headers and no body (RFC 9110, section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        state = {**scope.get("state", {}), "head": True}
        await self._app({**scope, "method": "GET", "state": state}, receive, send_head)


def is_head(scope: Scope) -> bool:
    """Whether only the headers of the answer will be sent."""
    return bool(scope.get("state", {}).get("head"))


def asked_method(scope: Scope) -> str:
    """The method that the client used."""
    return "HEAD" if is_head(scope) else str(scope["method"])


def asked_path(scope: Scope) -> str:
    """The path that the client used, below that of a proxy."""
    return str(scope.get("state", {}).get("asked_path") or scope["path"])


def location(request: Request, path: str) -> str:
    """A path of the service as a client reaches it."""
    return f"{request.state.base_path}{path}"
