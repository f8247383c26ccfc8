"""What every route needs: the engine, once there is one, and the documentation of its problems."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from service.engine import Engine
from service.openapi import reference
from service.problems import NOT_READY, Problem, ProblemError


def get_engine(request: Request) -> Engine:
    """The engine of the application. Raises ProblemError (503) while it is not loaded or after it died."""
    engine: Engine | None = getattr(request.app.state, "engine", None)
    if engine is None:
        raise ProblemError(NOT_READY, "The model and the library are not loaded yet. Try again in a moment.")
    if not engine.alive:
        raise ProblemError(NOT_READY, "The encoder has stopped. Restart the service; its log has the cause.")
    return engine


EngineDep = Annotated[Engine, Depends(get_engine)]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers with these statuses by problem documents."""
    content = {"application/problem+json": {"schema": reference(Problem)}}
    named = {
        404: "Not found",
        413: "Upload too large",
        416: "Range outside of the file",
        422: "The request or its input cannot be used",
        429: "Too many requests are waiting; see Retry-After",
        503: "Not ready",
    }
    return {status: {"description": named[status], "content": content} for status in statuses}
