"""What the service answers: a model of `quartet.schemas`, or one of the errors of `quartet.errors`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from quartet import errors
from quartet.requests import BytesRequest, Request

T = TypeVar("T", bound=BaseModel)

_ERROR_OF: Mapping[str, type[errors.QuartetError]] = {
    "not-found": errors.NotFoundError,
    "not-ready": errors.LibraryError,
}


def read_answer(url: str, request: Request[T], response: httpx2.Response) -> T:
    """The answer to `request`. Raises the error that a problem document stands for, and QuartetError for anything
    that Quartet does not say."""
    if not response.is_success:
        raise _error(url, request, response)
    try:
        return request.answer.model_validate_json(response.content)
    except ValidationError as error:
        raise errors.QuartetError(
            f"{url} did not answer as this version of Quartet does: {error.errors()[0]['msg']}. Check the "
            "address and the version."
        ) from None


def read_bytes(url: str, request: BytesRequest, response: httpx2.Response) -> bytes:
    """A file. Raises as `read_answer` does."""
    if not response.is_success:
        raise _error(url, request, response)
    return response.content


def retry_delay(response: httpx2.Response) -> float:
    """Seconds that a busy service asks its callers to wait."""
    try:
        return float(response.headers.get("retry-after", 1))
    except ValueError:
        return 1.0  # RFC 9110 allows a date, which Quartet never sends: a proxy before it might


def _error(url: str, request: Request[T] | BytesRequest, response: httpx2.Response) -> errors.QuartetError:
    """The exception that a problem document (RFC 9457) stands for."""
    try:
        problem = response.json()
        kind, detail = str(problem["type"]).rpartition("#")[2], str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return errors.QuartetError(
            f"{url} answered {response.status_code} without a Quartet problem document. Check the address."
        )
    if response.status_code == 429:
        return errors.BusyError(retry_delay(response))
    if kind == "unusable-video" and request.file is not None:
        return errors.VideoError(request.file.name, str(problem.get("reason", "unreadable")), detail)
    if kind in _ERROR_OF:
        return _ERROR_OF[kind](detail)
    if response.status_code < 500:
        return errors.InputError(detail)
    return errors.QuartetError(f"{detail} (request {problem.get('request_id', 'unknown')})")
