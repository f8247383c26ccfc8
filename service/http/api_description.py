"""What the API's description says of what FastAPI cannot see."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.problems import Problem
from service.settings import DEFAULT

_REFERENCE = "#/components/schemas/{model}"
_OPEN = ("/healthz", "/v1/session")
"""What needs no key."""

_TAGS = {
    "search": "Clips for sentences, captions for clips.",
    "embeddings": "Vectors, for use elsewhere.",
    "clips": "Clips, their pictures and their videos.",
    "browse": "What the library holds.",
    "jobs": "Indexing in the background.",
    "uploads": "Videos in pieces, to be indexed: uploads that can be resumed (tus 1.0).",
    "status": "Health, readiness and metrics.",
    "session": "How the page logs in.",
}
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The API key, if the service has one."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "quartet_session",
        "description": "For the page: `POST /v1/session` sets it.",
    },
}
_HEADERS = {
    "RequestId": {"description": "Id of this request in the service's log.", "schema": {"type": "string"}},
    "RetryAfter": {"description": "Seconds to wait before the next try.", "schema": {"type": "integer"}},
}
_EXAMPLES = {
    "clip_id": 42,
    "video_id": 7,
    "upload_id": "7c9e6679742540de944be07fc1f90ae7",
    "job_id": "0f8fad5bd9cb469fa16570867728950e",
    "name": "default",
}


def reference(model: type[BaseModel]) -> dict[str, str]:
    """A reference to one of the schemas that `DescribedAPI` adds."""
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def operation_id(route: APIRoute) -> str:
    """`search_clips` -> `searchClips`: what generated clients name the call by."""
    first, *others = route.name.split("_")
    return first + "".join(word.capitalize() for word in others)


class DescribedAPI(FastAPI):
    """A FastAPI application whose description also has what FastAPI does not know.

    Problem documents, keys and who needs them, headers of every answer, and examples of paths.
    """

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = self._completed(super().openapi())
        return self.openapi_schema

    def _completed(self, schema: dict[str, Any]) -> dict[str, Any]:
        _, found = models_json_schema([(Problem, "serialization")], ref_template=_REFERENCE)
        components = schema["components"]
        components["schemas"] |= found["$defs"]
        components["securitySchemes"], components["headers"] = _SECURITY, _HEADERS
        schema["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        base = self.state.settings.base_path
        schema["servers"] = [
            {"url": base or "/", "description": "The default library of this service."},
            {
                "url": f"{base}/v1/libraries/{{library}}",
                "description": "One of several libraries of this service.",
                "variables": {"library": {"default": DEFAULT, "description": "Its name, of `/v1/libraries`."}},
            },
        ]
        schema["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
        for path, methods in schema["paths"].items():
            for operation in methods.values():
                _complete(path, operation)
        # FastAPI's own answer to an invalid request is never sent.
        for unused in ("HTTPValidationError", "ValidationError"):
            components["schemas"].pop(unused, None)
        return schema


def _complete(path: str, operation: dict[str, Any]) -> None:
    content = {"application/problem+json": {"schema": reference(Problem)}}
    responses = operation["responses"]
    operation["security"] = [] if path in _OPEN else [{"bearer": []}, {"key": []}, {"session": []}]
    if path not in _OPEN:
        responses.setdefault("401", {"description": "The API key is missing or wrong", "content": content})
    responses.setdefault(
        "403", {"description": "The key, the origin or the host name is not allowed to do this", "content": content}
    )
    responses.setdefault("429", {"description": "Too many requests; see Retry-After", "content": content})
    for status, response in responses.items():
        headers = response.setdefault("headers", {})
        headers["X-Request-ID"] = {"$ref": "#/components/headers/RequestId"}
        if status in ("429", "503"):
            headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    operation["responses"] = dict(sorted(responses.items()))
    for parameter in operation.get("parameters", []):
        if parameter["name"] in _EXAMPLES and parameter["in"] == "path":
            parameter["example"] = _EXAMPLES[parameter["name"]]
