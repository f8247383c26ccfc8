"""How the first line of a request is read: paths below a proxy's prefix, and HEAD, which is GET without a body."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


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


def location(request: Request, path: str) -> str:
    """A path of the service as a client reaches it."""
    return f"{request.state.base_path}{path}"
