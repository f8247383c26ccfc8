"""415 for a body of a type that a route does not take (RFC 9110, section 15.5.16)."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, Request

from service.problems import UNSUPPORTED_TYPE, ProblemError

_FORM = "multipart/form-data"
_UPLOADS = ("/upload", "/uploads")


async def _require_json(request: Request) -> None:
    """Without a Content-Type a body is taken for JSON. Routes of uploads look for themselves."""
    given = _given_type(request)
    if given in ("", "application/json") or given.endswith("+json") or request.method not in ("POST", "PUT", "PATCH"):
        return
    path = request.url.path
    if path.endswith(_UPLOADS):
        return
    more = f" Send files to {path}/upload." if given == _FORM and path.endswith(("/captions", "/jobs")) else ""
    raise ProblemError(
        UNSUPPORTED_TYPE,
        f"The body is of the type {given}. Send a JSON object with the header Content-Type: application/json.{more}",
    )


JSON_BODY: Any = Depends(_require_json)
"""For routers: bodies are JSON."""


def form(schema: dict[str, Any]) -> dict[str, Any]:
    """What a route documents whose body is a form of this JSON schema: FastAPI's `openapi_extra`."""
    return {"requestBody": {"required": True, "content": {_FORM: {"schema": schema}}}}


def file_form(file: str, **fields: dict[str, Any]) -> dict[str, Any]:
    """As `form`, for one file, described by `file`, and optional fields."""
    content = {"file": {"type": "string", "format": "binary", "description": file}, **fields}
    return form({"type": "object", "required": ["file"], "additionalProperties": False, "properties": content})


def require_form(request: Request) -> None:
    """Raises ProblemError (415) unless the body is a form with files."""
    given = _given_type(request)
    if given != _FORM:
        shown = f"of the type {given}" if given else "without a Content-Type"
        raise ProblemError(
            UNSUPPORTED_TYPE,
            f"The body is {shown}. Send files as a form: Content-Type: {_FORM} (curl --form file=@FILE).",
        )


def _given_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
