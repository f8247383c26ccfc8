"""Who may ask: API keys and their roles, the names that the service answers to, and requests of other sites' pages.

A key travels as `Authorization: Bearer KEY`, as `X-API-Key: KEY`, or, for the page, whose pictures and videos cannot
carry headers, as a cookie with the token of a session (`POST /v1/session`).
"""

from __future__ import annotations

from collections.abc import Collection
from math import ceil
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.keys import Attempts, Key, Keys, Role
from service.problems import BUSY, FORBIDDEN, UNAUTHORIZED, ProblemError, problem_response

COOKIE = "quartet_session"
LOOPBACK = ("localhost", "127.0.0.1", "::1")

_OPEN = ("/", "/healthz", "/docs", "/openapi.json", "/problems", "/v1/session")
_OPEN_UNDER = ("/page/", "/swagger/")
_HARMLESS = ("GET", "HEAD", "OPTIONS")
_QUESTIONS = ("/v1/search/", "/v1/embeddings", "/v1/session")
"""Sent with POST, though they change nothing."""

_FOR_ADMINS = (("DELETE", "/v1/videos"), ("POST", "/v1/library/"))


def needed_role(method: str, path: str) -> Role:
    """`read` looks and searches, `write` adds and changes, `admin` deletes videos and maintains the library."""
    if method in _HARMLESS or path.startswith(_QUESTIONS):
        return "read"
    return "admin" if any(method == one and path.startswith(start) for one, start in _FOR_ADMINS) else "write"


class Access:
    """ASGI middleware: see the module. Without keys it is open to all who can reach it; no hosts means any.

    `request.state.caller` names who asks: the key and the address.
    """

    def __init__(
        self, app: ASGIApp, keys: Keys, attempts: Attempts, hosts: Collection[str], origins: Collection[str]
    ) -> None:
        self._app = app
        self._keys = keys
        self._attempts = attempts
        self._hosts = hosts
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = HTTPConnection(scope)
            try:
                self._check(request)
            except ProblemError as refusal:
                response = problem_response(request, refusal.kind, refusal.detail, headers=refusal.headers)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, request: HTTPConnection) -> None:
        """Raises ProblemError where the request is not allowed."""
        headers, method, path = request.headers, request.scope["method"], request.scope["path"]
        host = headers.get("host", "")
        if self._hosts and _name(host) not in self._hosts:
            raise ProblemError(
                FORBIDDEN, "The name in the Host header is not allowed. Add it to QUARTET_ALLOWED_HOSTS."
            )
        address = request.client.host if request.client else ""
        locked = self._keys.required and path not in _OPEN and not path.startswith(_OPEN_UNDER)
        given = _given(headers)
        key = self._keys.find(given) if given else None
        if given and key is None and locked:
            refuse_wrong_key(self._attempts, address, "The API key is wrong.")
        # No page of another site knows the key: what it has browsers send by themselves is the cookie.
        foreign = method not in _HARMLESS and _of_another_site(headers, host, self._origins)
        if foreign and key is None:
            raise ProblemError(FORBIDDEN, "A page of another site may not change anything on this service.")
        key = key or self._keys.of_session(request.cookies.get(COOKIE, ""))
        request.state.key = key
        request.state.caller = f"{key.name if key else ''}@{address}"
        if not locked:
            return
        if key is None:
            raise ProblemError(
                UNAUTHORIZED,
                "This service needs an API key. Send it as `Authorization: Bearer KEY`.",
                {"WWW-Authenticate": "Bearer"},
            )
        role = needed_role(method, path)
        if not key.may(role):
            raise ProblemError(
                FORBIDDEN, f"The key {key.name!r} has the role {key.role}, and this needs {role}. Use another key."
            )


def refuse_wrong_key(attempts: Attempts, address: str, detail: str) -> None:
    """Raises ProblemError: 401, or 429 where `address` has tried too many wrong keys."""
    wait_for_next_attempt(attempts, address)
    attempts.failed(address)
    raise ProblemError(UNAUTHORIZED, detail, {"WWW-Authenticate": "Bearer"})


def wait_for_next_attempt(attempts: Attempts, address: str) -> None:
    """Raises ProblemError (429) while `address` has to wait before it may show a key again."""
    if seconds := attempts.wait(address):
        raise ProblemError(
            BUSY,
            "Too many wrong keys from this address. Wait a minute, then try again.",
            {"Retry-After": str(ceil(seconds))},
        )


def caller_key(request: HTTPConnection) -> Key | None:
    """The key that a request carries, in a header or by its session."""
    key: Key | None = request.state.key
    return key


def _given(headers: Headers) -> str:
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def _of_another_site(headers: Headers, host: str, allowed: Collection[str]) -> bool:
    """Browsers name the origin of every request that is not a simple look-up (Fetch standard, section 3.2)."""
    origin = headers.get("origin")
    if origin is not None and ("*" in allowed or origin in allowed):
        return False
    if headers.get("sec-fetch-site", "none") == "cross-site":
        return True
    return origin is not None and urlsplit(origin).netloc.lower() != host.lower()


def _name(host: str) -> str:
    """`[::1]:8000` -> `::1`, `localhost:8000` -> `localhost`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
