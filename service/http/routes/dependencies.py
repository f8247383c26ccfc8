"""What every route needs: the engine, once there is one, answers for clients that wait, documented problems, pages."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from service.http.api_description import reference
from service.http.served_libraries import served
from service.problems import NOT_READY, Problem, ProblemError
from service.search.engine import Engine


async def get_engine(request: Request) -> Engine:
    """The engine of the application. Raises ProblemError (503) while it is not loaded or when it is closed.

    A coroutine, though it waits for nothing: FastAPI would hand a plain function to a thread and wait for that.
    """
    engine = served(request).engine
    if engine is None:
        detail = "The model and the library are not loaded yet. Try again in a moment."
        raise ProblemError(NOT_READY, detail, {"Retry-After": "1"})
    if not engine.alive:
        raise ProblemError(NOT_READY, "The service is stopping.")
    return engine


EngineDep = Annotated[Engine, Depends(get_engine)]


def caller(request: Request) -> str:
    """Who asks, for fairness between clients: the name of the key and the address."""
    return str(request.state.caller)


MAX_OFFSET = 2**31 - 1
Offset = Annotated[int, Query(ge=0, le=MAX_OFFSET, description="Number of items to skip.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Maximum number of items to return.")]

T = TypeVar("T")


async def until_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is dropped when the client disconnects.

    Its body must have been read. Raises ClientDisconnect, which nobody is there to see.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        task.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def ready_json(answer: BaseModel) -> Any:
    """An answer that is valid by its making: FastAPI would go through all of it once more."""
    return Response(answer.model_dump_json(), media_type="application/json")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers with these statuses by problem documents."""
    content = {"application/problem+json": {"schema": reference(Problem)}}
    named = {
        400: "The body is malformed",
        401: "The API key is missing or wrong",
        404: "Not found",
        408: "The request took too long to arrive",
        409: "Not possible in this state",
        412: "The version of the protocol is not supported",
        413: "The body is too large",
        415: "This route does not accept the body's type",
        416: "Range outside of the file",
        422: "The request or its input cannot be used",
        429: "Too many requests are waiting; see Retry-After",
        503: "Not ready",
        507: "No room for the upload",
    }
    return {status: {"description": named[status], "content": content} for status in statuses}
