"""`/v1/session`: how the page, which cannot send headers with every picture, shows the API key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from service.http.access import COOKIE, authorized, same_key, token
from service.http.routes.dependencies import problems
from service.problems import UNAUTHORIZED, ProblemError

router = APIRouter(prefix="/v1/session", tags=["session"])


class Login(BaseModel):
    """The key."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(max_length=1000)]


class Session(BaseModel):
    """Whether a key is asked for, and whether this request carried it."""

    required: bool
    authorized: bool


@router.get("", summary="Is a key needed")
def session(request: Request) -> Session:
    """Whether the service asks for a key, and whether this request carries it."""
    key = _key(request)
    return Session(required=key is not None, authorized=key is None or authorized(request, key))


@router.post("", summary="Log in", status_code=204, responses=problems(400, 401, 413, 422))
def log_in(given: Login, request: Request) -> Response:
    """Set a cookie that stands for the key until the browser is closed. Scripts cannot read it."""
    key = _key(request)
    response = Response(status_code=204)
    if key is not None:
        if not same_key(given.key, key):
            raise ProblemError(UNAUTHORIZED, "This is not the API key of the service.")
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, token(key), httponly=True, samesite="strict", secure=secure)
    return response


@router.delete("", summary="Log out", status_code=204)
def log_out() -> Response:
    """Remove the cookie."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _key(request: Request) -> str | None:
    key: str | None = request.app.state.key
    return key
