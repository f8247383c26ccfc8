"""The Python client has a method for every route of the API."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

from quartet.client import Client
from quartet.requests import files, jobs, library, searching, service
from quartet.requests.request import PagedRequest
from quartet.schemas.search import ClipSearch

DESCRIBED = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text(encoding="utf-8"))
SAMPLES: dict[str, Any] = {
    "query": "a", "queries": ["a"], "search": ClipSearch(query="a"), "inputs": "a", "name": "news", "key": "a-key",
    "file": Path("a.mp4"), "video": Path("a.mp4"), "files": {"own": Path("a.mp4")}, "clip_id": 1, "video_id": 1,
    "clip_ids": [1], "video_ids": [1], "title": "a", "format": "csv", "folder": "films", "job_id": "0f", "size": 1,
    "upload_id": "7c", "root": "films", "upload_ids": ["7c"], "offset": 0, "content": b"a", "heard": print,
}  # fmt: skip


def asked() -> set[tuple[str, str]]:
    """The method and the path of what each function of `quartet.requests` asks for, with its necessary arguments."""
    found = set()
    for module in (files, jobs, library, searching, service):
        for name, build in inspect.getmembers(module, inspect.isfunction):
            if build.__module__ != module.__name__ or name.startswith("_"):
                continue
            assert hasattr(Client, name) or name == "send_piece", name  # `send_upload` sends pieces
            parameters = inspect.signature(build).parameters.values()
            needed = {one.name: SAMPLES[one.name] for one in parameters if one.default is inspect.Parameter.empty}
            request = build(**needed)
            found.add(("GET" if isinstance(request, PagedRequest) else request.method, request.path))
    found.add(("GET", library.library("news").path))
    return found


def test_no_route_is_missing() -> None:
    requests = asked()
    for path, methods in DESCRIBED["paths"].items():
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
        for method in methods:
            matching = [own for own in requests if own[0] == method.upper() and pattern.fullmatch(own[1])]
            assert matching, f"The client lacks {method.upper()} {path}."
