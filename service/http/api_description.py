"""What the API's description says of what FastAPI cannot see."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from quartet.schemas.jobs import JobRequest
from quartet.schemas.search import CaptionSearch
from service.problems import Problem

_REFERENCE = "#/components/schemas/{model}"


def reference(model: type[BaseModel]) -> dict[str, str]:
    """A reference to one of the schemas that `DescribedAPI` adds."""
    return {"$ref": _REFERENCE.format(model=model.__name__)}


class DescribedAPI(FastAPI):
    """A FastAPI application whose description also has the schemas that FastAPI cannot see.

    It does not know of bodies that a route reads by itself, nor of responses of another content type.
    """

    def openapi(self) -> dict[str, Any]:
        schema = super().openapi()
        _, found = models_json_schema(
            [(Problem, "serialization"), (CaptionSearch, "validation"), (JobRequest, "validation")],
            ref_template=_REFERENCE,
        )
        schema["components"]["schemas"] |= found["$defs"]
        return schema
