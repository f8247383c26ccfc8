"""What every response carries: a request id and the security headers."""

from __future__ import annotations

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_PAGE_POLICY = (
    "default-src 'self'; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
# Swagger UI draws its icons from data: URLs and sets inline styles.
_DOCS_POLICY = f"{_PAGE_POLICY}; img-src 'self' data:; style-src 'self' 'unsafe-inline'"


class CommonHeaders:
    """ASGI middleware: see the module.

    A well-formed `X-Request-ID` of the caller is kept, so that a proxy's id appears in our log; else a new
    one is made. It is at `request.state.request_id`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        policy = _DOCS_POLICY if scope["path"] == "/docs" else _PAGE_POLICY

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers["Content-Security-Policy"] = policy
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
            await send(message)

        await self._app(scope, receive, send_with_headers)
