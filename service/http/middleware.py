"""What happens to every request: an id, limits on its body, a line in the log, a count, the security headers."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.addressing import asked_method, asked_path
from service.observe.logs import REQUEST_ID
from service.problems import TOO_LARGE, TOO_SLOW, ProblemError, problem_response
from service.settings import Settings

LOG = logging.getLogger("service.http.access")

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
# The page shows pictures and videos of the reader's own, which are blob: URLs. Its icon is a data: URL.
_PAGE_POLICY = f"{_POLICY}; media-src 'self' blob:; img-src 'self' blob: data:"
# Swagger UI draws its icons from data: URLs and sets inline styles.
_DOCS_POLICY = f"{_POLICY}; img-src 'self' data:; style-src 'self' 'unsafe-inline'"

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_PAGE_HEADERS = ((b"content-security-policy", _PAGE_POLICY.encode()), *_HEADERS)
_DOCS_HEADERS = ((b"content-security-policy", _DOCS_POLICY.encode()), *_HEADERS)

EXPOSED_HEADERS = (
    "Accept-Ranges", "Content-Range", "ETag", "Location", "Retry-After", "X-Request-ID", "Tus-Extension",
    "Tus-Max-Size", "Tus-Resumable", "Tus-Version", "Upload-Length", "Upload-Offset",
)  # fmt: skip
"""Headers of answers that scripts of other origins may read."""

_UPLOAD_TYPES = ("multipart/form-data", "application/offset+octet-stream")
"""Of bodies that may be as large as an upload: forms with files, and pieces of a resumable upload."""

_QUIET = ("/healthz", "/readyz", "/metrics")
"""Asked for every few seconds by machines: logged only when something is wrong."""


class RequestLog:
    """ASGI middleware around all but what reads the address: request id, log, count and headers.

    A well-formed `X-Request-ID` of the caller is kept, so that a proxy's id appears in our log; else a new
    one is made. It is at `request.state.request_id`.
    """

    def __init__(self, app: ASGIApp, cross_origin: bool = False) -> None:
        self._app = app
        # A browser hides pictures and videos from other origins unless a header allows it.
        other = ((b"cross-origin-resource-policy", b"cross-origin" if cross_origin else b"same-origin"),)
        self._page_headers, self._docs_headers = _PAGE_HEADERS + other, _DOCS_HEADERS + other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        REQUEST_ID.set(request_id)
        policy = self._docs_headers if scope["path"] == "/docs" else self._page_headers
        status, answered = 500, False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], True
                own = [(b"x-request-id", request_id.encode()), *policy]
                message["headers"] = [pair for pair in message["headers"] if pair[0] != b"x-request-id"] + own
                _count(scope, status, time.perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            # A bug: what answers it is further out than this. An answer that had begun is counted already.
            if not answered:
                _count(scope, 500, time.perf_counter() - began)
            raise
        finally:
            _log(scope, status, time.perf_counter() - began)


class BodyLimit:
    """ASGI middleware: a body that is too large or too slow is given up.

    A client has `receive_timeout` seconds to send its next bytes and `upload_timeout` for all of them.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._most = settings.max_body_bytes
        self._most_upload = settings.max_upload_bytes
        self._pause = settings.receive_timeout
        self._whole = settings.upload_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        upload = headers.get("content-type", "").lower().startswith(_UPLOAD_TYPES)
        most = self._most_upload if upload else self._most
        request = Request(scope)
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most:
            await problem_response(request, TOO_LARGE, _too_large(most))(scope, receive, send)
            return
        received, complete, began = 0, False, asyncio.get_running_loop().time()

        async def limited() -> Message:
            nonlocal received, complete
            if complete:
                # Nothing but the end of the connection is left to come, and that may take as long as it likes.
                return await receive()
            left = began + self._whole - asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(max(0.0, min(self._pause, left))):
                    message = await receive()
            except TimeoutError:
                detail = f"The request stopped for {self._pause:g} s, or took longer than {self._whole:g} s."
                raise ProblemError(TOO_SLOW, detail, {"Connection": "close"}) from None
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if received > most:
                raise ProblemError(TOO_LARGE, _too_large(most), {"Connection": "close"})
            return message

        await self._app(scope, limited, send)


def _too_large(most: int) -> str:
    return f"The body of this request may have at most {most:,} bytes. Send a smaller one, such as a shorter video."


def _route(scope: Scope) -> str:
    """The path with its parameters as names: the number of paths that are counted stays small."""
    route = scope.get("route")
    return str(getattr(route, "path", "other"))


def _count(scope: Scope, status: int, seconds: float) -> None:
    library = scope["app"].state.libraries.find(scope["state"]["library"])
    if (engine := library.engine) is not None:
        route = _route(scope)
        engine.metrics.requests.labels(asked_method(scope), route, str(status)).inc()
        engine.metrics.latency.labels(route).observe(seconds)


def _log(scope: Scope, status: int, seconds: float) -> None:
    if status >= 500 and not (status == 503 and scope["path"] in _QUIET):
        level = logging.ERROR
    else:  # Probes expect a service that is not ready yet.
        level = logging.DEBUG if scope["path"] in _QUIET and status < 400 else logging.INFO
    if LOG.isEnabledFor(level):
        client = scope.get("client")
        fields = {
            "method": asked_method(scope),
            "path": asked_path(scope),
            "status": status,
            "ms": round(1000 * seconds, 1),
            "client": client[0] if client else None,
        }
        LOG.log(level, "%(method)s %(path)s %(status)s in %(ms)s ms", fields, extra={"fields": fields})
