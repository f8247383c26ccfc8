"""Errors as RFC 9457 problem documents (`application/problem+json`).

Every document has `type`, `title`, `status`, `detail`, `instance` (the path asked for) and `request_id`.
The `type` is a path of the service itself, where `/problems` explains each kind.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import JSONResponse, Response

from quartet import errors
from service.requirement import requirement

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """A kind of problem: the last part of its `type`, its HTTP status, its title, and what to do about it."""

    slug: str
    status: int
    title: str
    advice: str


INVALID_REQUEST = Kind(
    "invalid-request", 422, "The request is not valid", "`errors` lists each field and what it must be."
)
UNUSABLE_INPUT = Kind("unusable-input", 422, "The input cannot be used", "`detail` says what to change.")
UNUSABLE_VIDEO = Kind(
    "unusable-video",
    422,
    "The video cannot be used",
    "`reason` is one of empty-file, not-a-video, no-video-stream, truncated, unsupported-codec, unreadable, "
    "over-limit.",
)
UNAUTHORIZED = Kind(
    "unauthorized",
    401,
    "The API key is missing or wrong",
    "Send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
)
FORBIDDEN = Kind(
    "forbidden",
    403,
    "The request is not allowed",
    "`detail` says why: a page of another site, or a Host that is not allowed.",
)
NOT_FOUND = Kind("not-found", 404, "Not found", "The clip, its file or the job does not exist.")
TOO_SLOW = Kind("too-slow", 408, "The request took too long to arrive", "Send it again, without pauses.")
CONFLICT = Kind("conflict", 409, "Not possible in this state", "`detail` says which state prevents it.")
TOO_LARGE = Kind("too-large", 413, "The body is too large", "`detail` names the limit in bytes.")
UNSUPPORTED_VERSION = Kind(
    "unsupported-version", 412, "The version of the protocol is not supported", "Send Tus-Resumable: 1.0.0."
)
BAD_RANGE = Kind("range-not-satisfiable", 416, "The range is outside the file", "Ask for fewer bytes.")
MALFORMED = Kind("malformed", 400, "The request is not valid HTTP", "Use a client that speaks HTTP/1.1.")
UNSUPPORTED_TYPE = Kind(
    "unsupported-media-type",
    415,
    "The body's type is not accepted",
    "`detail` names the accepted types. Set the Content-Type header.",
)
HEAD_TOO_LARGE = Kind("head-too-large", 431, "The header fields are too large", "Send fewer or shorter ones.")
TOO_MANY_CONNECTIONS = Kind(
    "too-many-connections", 429, "Too many connections", "Close some, or use one for several requests."
)
BUSY = Kind("busy", 429, "The service is busy", "Try again after the seconds in the Retry-After header.")
NOT_READY = Kind("not-ready", 503, "The service is not ready", "Check /readyz and the service's log.")
OVERDUE = Kind("overdue", 503, "The search took too long", "Try again after the seconds in the Retry-After header.")
NO_ROOM = Kind(
    "no-room",
    507,
    "Not enough disk space for the upload",
    "`detail` says how much is used. Delete some uploads, or raise the limit.",
)
INTERNAL = Kind("internal", 500, "Something went wrong inside the service", "Report the `request_id`.")

KINDS = (
    MALFORMED, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_SLOW, CONFLICT, UNSUPPORTED_VERSION, TOO_LARGE, UNSUPPORTED_TYPE,
    BAD_RANGE, INVALID_REQUEST, UNUSABLE_INPUT, UNUSABLE_VIDEO, BUSY, TOO_MANY_CONNECTIONS, HEAD_TOO_LARGE, INTERNAL,
    NOT_READY, OVERDUE, NO_ROOM,
)  # fmt: skip

_KIND_OF: Mapping[type[errors.QuartetError], Kind] = {
    errors.VideoError: UNUSABLE_VIDEO,
    errors.InputError: UNUSABLE_INPUT,
    errors.NotFoundError: NOT_FOUND,
    errors.BusyError: BUSY,
    errors.ModelError: NOT_READY,
    errors.LibraryInUseError: CONFLICT,
    errors.LibraryError: NOT_READY,
    errors.QuartetError: INTERNAL,
}


class FieldError(BaseModel):
    """One field of an invalid request."""

    field: str = Field(description="Where: `body.query`, `query.k`.")
    detail: str


class Problem(BaseModel):
    """RFC 9457 problem document."""

    type: str = Field(examples=["/problems#not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no clip 4711 in this library."])
    instance: str = Field(examples=["/v1/clips/4711"])
    request_id: str = Field(description="Also in the X-Request-ID header and in the log.")
    reason: str | None = Field(default=None, description="For unusable-video: a fixed keyword for the cause.")
    errors: list[FieldError] | None = Field(default=None, description="For invalid-request: each field.")


class ProblemError(HTTPException):
    """Raised to answer with a problem that has no exception of its own.

    FastAPI lets only its own exceptions through while it reads a body.
    """

    def __init__(self, kind: Kind, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        super().__init__(kind.status, detail, headers)


def problem_type(kind: Kind, base: str = "") -> str:
    """The `type` of a problem, below the path `base` that the service is reached at."""
    return f"{base}/problems#{kind.slug}" if kind.slug else "about:blank"


def problem_response(
    request: HTTPConnection,
    kind: Kind,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **extensions: Any,
) -> JSONResponse:
    """A problem document as the answer to `request`."""
    problem = Problem(
        type=problem_type(kind, request.scope.get("state", {}).get("base_path", "")),
        title=kind.title,
        status=kind.status,
        detail=_encodable(detail),
        instance=_path(request),
        request_id=request_id(request),
        **extensions,
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=kind.status,
        media_type="application/problem+json",
        headers=dict(headers or {}),
    )


def request_id(request: HTTPConnection) -> str:
    """The id that `service.http.middleware` gave to the request."""
    return str(request.state.request_id)


def _path(request: HTTPConnection) -> str:
    """The path that the client used; that of a library is taken off by `service.http.addressing`."""
    return str(request.scope.get("state", {}).get("asked_path") or request.url.path)


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem document."""
    app.add_exception_handler(errors.QuartetError, _quartet_error)
    app.add_exception_handler(ProblemError, _problem_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _client_disconnected)
    app.add_exception_handler(OSError, _system_error)
    app.add_exception_handler(Exception, _unexpected_error)


def kind_of(error: errors.QuartetError) -> Kind:
    """The kind of problem that an exception of the project's tree is."""
    return next(_KIND_OF[cls] for cls in type(error).__mro__ if cls in _KIND_OF)


async def _quartet_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.QuartetError)
    kind = kind_of(error)
    if kind.status >= 500:
        LOG.error("%s %s: %s", request_id(request), _path(request), error)
    if isinstance(error, errors.BusyError):
        # Retry-After counts whole seconds (RFC 9110, section 10.2.3).
        return problem_response(request, kind, str(error), headers={"Retry-After": str(ceil(error.retry_after))})
    if isinstance(error, errors.ModelError) and kind is NOT_READY:
        # A process of the model has ended: another is there in some seconds.
        return problem_response(request, kind, str(error), headers={"Retry-After": "2"})
    if isinstance(error, errors.VideoError):
        return problem_response(request, kind, error.detail, reason=error.reason)
    return problem_response(request, kind, str(error))


async def _problem_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    return problem_response(request, error.kind, error.detail, headers=error.headers)


async def _client_disconnected(request: Request, error: Exception) -> Response:
    """Nobody is there to read it; 499 is what proxies write into their logs for it."""
    return Response(status_code=499)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    fields = [FieldError(field=_encodable(_field(item)), detail=_encodable(_sentence(item))) for item in error.errors()]
    detail = " ".join(item.detail for item in fields)
    return problem_response(request, INVALID_REQUEST, detail, errors=fields)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    """Errors of the framework: unknown path, wrong method, malformed form."""
    assert isinstance(error, StarletteHTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    detail = error.detail if error.detail != phrase else f"{request.method} {_path(request)}: {phrase.lower()}."
    if error.status_code == HTTPStatus.BAD_REQUEST and error.__cause__ is not None and request.method != "GET":
        detail = _unreadable(error.__cause__) or detail
    kind = Kind("", error.status_code, phrase, "")
    return problem_response(request, kind, detail, headers=error.headers)


def _unreadable(cause: BaseException) -> str | None:
    """Why a body of JSON could not be read, where the framework says only that it could not."""
    reasons = {
        UnicodeDecodeError: "it is not UTF-8 text",
        RecursionError: "its lists and objects are nested too deeply",
        ValueError: "a number in it has too many digits",
    }
    reason = next((why for kind, why in reasons.items() if isinstance(cause, kind)), None)
    return None if reason is None else f"The body cannot be read as JSON: {reason}."


async def _system_error(request: Request, error: Exception) -> Response:
    """A full disk, whoever wrote to it: an upload is received into a temporary file. Any other error is unexpected."""
    assert isinstance(error, OSError)
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    LOG.error("%s %s: %s", request_id(request), _path(request), error)
    return problem_response(
        request,
        NO_ROOM,
        f"The service has no disk space for this request: {error.strerror}. Free some space on its disk.",
    )


async def _unexpected_error(request: Request, error: Exception) -> JSONResponse:
    # Starlette calls this outside of the middleware, so the header has to be set here; it logs the traceback.
    detail = "The service failed to answer. Look for this request id in the service's log."
    LOG.error("%s %s: %s", request_id(request), _path(request), type(error).__name__)
    return problem_response(request, INTERNAL, detail, headers={"X-Request-ID": request_id(request)})


def _encodable(text: str) -> str:
    """A message that names what was sent may hold half a surrogate pair, which JSON text cannot."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _field(item: Mapping[str, Any]) -> str:
    """Where: of a body that is not JSON, Pydantic would say at which character."""
    return (
        "body"
        if item["type"] == "json_invalid"
        else ".".join(str(part) for part in item["loc"] if "[" not in str(part))
    )


def _sentence(item: Mapping[str, Any]) -> str:
    """What to send, as a sentence that names the field; messages of our own are sentences already."""
    if item["type"] == "value_error":
        return str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "json_invalid":
        return f"The body is not valid JSON: {item['ctx']['error']}, at character {item['loc'][-1]}."
    if item["loc"] == ("body",):
        # Above all what `curl -d` sends when nobody tells it otherwise: a form.
        return "The body must be a JSON object. Send it with the header Content-Type: application/json."
    names = [str(part) for part in item["loc"] if "[" not in str(part)]
    where = ".".join(names[1:]) or names[0]
    required = requirement(item)
    return f"{where}: {item['msg']}." if required is None else f"{where} {required}."
