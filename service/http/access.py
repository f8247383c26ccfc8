"""Who may ask: the API key, the names that the service answers to, and requests that other sites' pages make.

A key travels as `Authorization: Bearer KEY`, as `X-API-Key: KEY`, or, for the page, whose pictures and videos
cannot carry headers, as a cookie that `POST /v1/session` sets. The cookie holds a token made from the key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from service.problems import FORBIDDEN, UNAUTHORIZED, Kind, problem_response

COOKIE = "quartet_session"
LOOPBACK = ("localhost", "127.0.0.1", "::1")

_OPEN = ("/", "/healthz", "/docs", "/openapi.json", "/problems", "/v1/session")
_OPEN_UNDER = ("/page/", "/swagger/")
_HARMLESS = ("GET", "HEAD", "OPTIONS")


class Access:
    """ASGI middleware: see the module. Without a key it is open to all who can reach it; no hosts means any."""

    def __init__(self, app: ASGIApp, key: str | None, hosts: Collection[str]) -> None:
        self._app = app
        self._key = key
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(HTTPConnection(scope)) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
            return
        kind, detail = refusal
        headers = {"WWW-Authenticate": "Bearer"} if kind is UNAUTHORIZED else {}
        await problem_response(HTTPConnection(scope), kind, detail, headers=headers)(scope, receive, send)

    def _refusal(self, request: HTTPConnection) -> tuple[Kind, str] | None:
        headers, scope = request.headers, request.scope
        host = headers.get("host", "")
        if self._hosts and _name(host) not in self._hosts:
            return FORBIDDEN, "The service does not answer to the name in the Host header. See QUARTET_ALLOWED_HOSTS."
        if scope["method"] not in _HARMLESS and _of_another_site(headers, host):
            return FORBIDDEN, "The page of another site may not change anything here."
        path = scope["path"]
        if self._key is None or path in _OPEN or path.startswith(_OPEN_UNDER):
            return None
        if authorized(request, self._key):
            return None
        return UNAUTHORIZED, "This service asks for an API key. Send it as `Authorization: Bearer KEY`."


def authorized(request: HTTPConnection, key: str) -> bool:
    """Whether a request carries the key, in a header or as the cookie made from it."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    given = bearer.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
    if given:
        return same_key(given, key)
    return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), token(key).encode())


def same_key(given: str, key: str) -> bool:
    """In a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), key.encode())


def token(key: str) -> str:
    """What the cookie holds: who reads it does not learn the key, and another key makes it worthless."""
    return hmac.new(key.encode(), b"quartet session", hashlib.sha256).hexdigest()


def _of_another_site(headers: Headers, host: str) -> bool:
    """Browsers name the origin of every request that is no simple look-up (Fetch standard, section 3.2)."""
    origin = headers.get("origin")
    if headers.get("sec-fetch-site", "none") == "cross-site":
        return True
    return origin is not None and urlsplit(origin).netloc.lower() != host.lower()


def _name(host: str) -> str:
    """`[::1]:8000` -> `::1`, `localhost:8000` -> `localhost`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
