"""What the service answers: a model of `quartet.schemas`, a file, or one of the errors of `quartet.errors`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from quartet import errors

T = TypeVar("T", bound=BaseModel)

ERROR_OF: Mapping[str, type[errors.QuartetError]] = {
    "invalid-request": errors.InvalidRequestError,
    "malformed": errors.MalformedRequestError,
    "unsupported-media-type": errors.UnsupportedTypeError,
    "unsupported-version": errors.UnsupportedVersionError,
    "too-large": errors.TooLargeError,
    "head-too-large": errors.HeadTooLargeError,
    "range-not-satisfiable": errors.RangeError,
    "unusable-input": errors.InputError,
    "unusable-video": errors.VideoError,
    "not-found": errors.NotFoundError,
    "unauthorized": errors.UnauthorizedError,
    "forbidden": errors.ForbiddenError,
    "conflict": errors.ConflictError,
    "no-room": errors.NoRoomError,
    "not-ready": errors.NotReadyError,
    "too-slow": errors.TooSlowError,
    "overdue": errors.OverdueError,
    "busy": errors.BusyError,
    "too-many-connections": errors.TooManyConnectionsError,
    "internal": errors.InternalError,
}
"""The exception of each type of problem, by the last part of its `type`."""


def read_answer(answer: type[T], response: httpx2.Response) -> T:
    """The body as an `answer`. Raises QuartetError for anything that Quartet does not say."""
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as error:
        raise errors.QuartetError(
            f"{_service(response)} did not answer as this version of Quartet does: {error.errors()[0]['msg']}. Check "
            "the address and the version."
        ) from None


def check(response: httpx2.Response, file: str = "") -> None:
    """Raises the exception that a problem document stands for; `file` is the name of the file that was sent."""
    if not response.is_success:
        raise _error(response, file)


def retry_delay(response: httpx2.Response) -> float:
    """Seconds that a busy service asks its callers to wait."""
    try:
        return float(response.headers.get("retry-after", 1))
    except ValueError:
        return 1.0  # RFC 9110 allows a date, which Quartet never sends: a proxy before it might


def _error(response: httpx2.Response, file: str) -> errors.QuartetError:
    """The exception that a problem document (RFC 9457) stands for."""
    try:
        problem = response.json()
        kind, detail = str(problem["type"]).rpartition("#")[2], str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return errors.QuartetError(
            f"{_service(response)} answered {response.status_code} without a Quartet problem document. Check the "
            "address."
        )
    # A method or a path that the service does not have has no type of its own (RFC 9457: about:blank).
    general = errors.InputError if response.status_code < 500 else errors.QuartetError
    error = _made(ERROR_OF.get(kind, general), detail, problem, response, file)
    error.request_id = problem.get("request_id")
    return error


def _made(
    cls: type[errors.QuartetError], detail: str, problem: Mapping[str, Any], response: httpx2.Response, file: str
) -> errors.QuartetError:
    if issubclass(cls, errors.BusyError):
        return cls(retry_delay(response))
    if issubclass(cls, errors.VideoError):
        return cls(file or "video", str(problem.get("reason", "unreadable")), detail)
    if issubclass(cls, errors.InvalidRequestError):
        return cls(detail, {one["field"]: one["detail"] for one in problem.get("errors", ())})
    if response.status_code >= 500:
        return cls(f"{detail} (request {problem.get('request_id', 'unknown')})")
    return cls(detail)


def _service(response: httpx2.Response) -> str:
    url = response.url
    return f"{url.scheme}://{url.netloc.decode('ascii')}"
