"""`/v1/session`: how the page, which cannot send headers with every picture, shows the API key."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from quartet.schemas.session import Login, Session
from service.http.access import COOKIE, caller_key, refuse_wrong_key, wait_for_next_attempt
from service.http.content_types import JSON_BODY
from service.http.keys import Attempts, Keys
from service.http.routes.dependencies import problems

router = APIRouter(prefix="/v1/session", tags=["session"], dependencies=[JSON_BODY])


@router.get("", summary="Is an API key required?")
def get_session(request: Request) -> Session:
    """Whether the service needs a key, and whether this request sent it."""
    keys: Keys = request.app.state.keys
    key = caller_key(request)
    return Session(
        required=keys.required, authorized=key is not None or not keys.required, role=key.role if key else None
    )


@router.post("", summary="Log in", status_code=204, responses=problems(400, 401, 413, 415, 422, 429))
def log_in(given: Login, request: Request) -> Response:
    """Set a cookie that replaces the key until logout. Scripts cannot read it.

    After ten wrong keys in a minute, the service answers 429 until the minute is over.
    """
    keys: Keys = request.app.state.keys
    response = Response(status_code=204)
    if keys.required:
        attempts: Attempts = request.app.state.attempts
        address = request.client.host if request.client else ""
        wait_for_next_attempt(attempts, address)
        key = keys.find(given.key)
        if key is None:
            refuse_wrong_key(attempts, address, "The API key is wrong.")
        else:
            secure = request.url.scheme == "https"
            path = request.state.base_path or "/"
            response.set_cookie(COOKIE, keys.log_in(key), path=path, httponly=True, samesite="strict", secure=secure)
    return response


@router.delete("", summary="Log out", status_code=204)
def log_out(request: Request) -> Response:
    """End the session and remove the cookie."""
    keys: Keys = request.app.state.keys
    keys.log_out(request.cookies.get(COOKIE, ""))
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path=request.state.base_path or "/", httponly=True, samesite="strict")
    return response
