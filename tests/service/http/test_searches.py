"""Searches that the library keeps, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastapi.testclient import TestClient

from indexer.ingest.index_run import index_videos
from model.fake_encoder import FakeEncoder
from service.http.app import create_app
from service.settings import Settings
from tests.service.conftest import write_video

if TYPE_CHECKING:
    from tests.service.conftest import World

SEARCH = {"query": "a red square", "min_score": 0.1, "parts": [{"text": "a wall", "weight": -0.5}]}


def test_a_search_is_kept_and_says_what_is_new(world: World, tmp_path: Path) -> None:
    with TestClient(create_app(Settings(library=world.library), FakeEncoder())) as client:
        assert client.get("/v1/searches").json() == {"items": []}
        saved = client.put("/v1/searches/red things", json=SEARCH).json()
        assert saved["name"] == "red things" and not saved["new_clips"]
        assert {name: saved["request"][name] for name in SEARCH} != {} and saved["request"]["query"] == SEARCH["query"]
        (tmp_path / "more").mkdir()
        write_video(tmp_path / "more" / "late.mp4", (200, 40, 40))
        index_videos(world.library, [tmp_path / "more"], FakeEncoder())
        (listed,) = client.get("/v1/searches").json()["items"]
        assert listed["new_clips"] and listed["seen"] == saved["seen"]
        assert client.post("/v1/searches/red things/seen").status_code == 204
        (listed,) = client.get("/v1/searches").json()["items"]
        assert not listed["new_clips"] and listed["seen"] > saved["seen"]
        assert client.delete("/v1/searches/red things").status_code == 204
        assert client.get("/v1/searches").json() == {"items": []}


def test_what_cannot_be_kept_is_refused(client: TestClient) -> None:
    upload = {"parts": [{"upload": "abc"}]}
    assert "does not keep uploads" in client.put("/v1/searches/x", json=upload).json()["detail"]
    assert client.put("/v1/searches/x", json={"query": " "}).status_code == 422
    assert client.put(f"/v1/searches/{'x' * 65}", json=SEARCH).status_code == 422
    assert "is not a valid name" in client.put("/v1/searches/a%00b", json=SEARCH).json()["detail"]
    for method, path in (("DELETE", "/v1/searches/nowhere"), ("POST", "/v1/searches/nowhere/seen")):
        assert client.request(method, path).status_code == 404


def test_blanks_and_line_breaks_in_a_name_are_single_blanks(world: World) -> None:
    with TestClient(create_app(Settings(library=world.library), FakeEncoder())) as client:
        for name in ("two%0Alines", "two%20%20lines%0A", "two%C2%85lines"):
            assert client.put(f"/v1/searches/{name}", json=SEARCH).json()["name"] == "two lines"
            assert client.post(f"/v1/searches/{name}/seen").status_code == 204
            assert client.delete(f"/v1/searches/{name}").status_code == 204
            assert client.get("/v1/searches").json() == {"items": []}
            assert "no saved search" in client.delete(f"/v1/searches/{name}").json()["detail"]
