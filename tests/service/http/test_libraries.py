"""Several libraries in one service: each at an address of its own, and what they share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from indexer.store.management import remove_videos
from model.fake_encoder import FakeEncoder
from service.encoders.encoder_processes import EncoderProcesses
from service.encoders.serving_encoders import ServingEncoders
from service.http.app import create_app
from service.settings import Settings

if TYPE_CHECKING:
    from tests.service.conftest import World

NEWS = "/v1/libraries/news"


@pytest.fixture
def fewer(world: World) -> Path:
    """A library without the red video."""
    remove_videos(world.library, [world.videos / "red.mp4"])
    return world.library


@pytest.fixture
def both(built_world: World, fewer: Path) -> Iterator[TestClient]:
    settings = Settings(library=built_world.library, libraries={"news": fewer})
    with TestClient(create_app(settings, FakeEncoder())) as client:
        yield client


def titles(client: TestClient, address: str) -> set[str]:
    answer = client.post(f"{address}/search/clips", json={"query": "a red square"}).raise_for_status()
    return {hit["title"] for hit in answer.json()["hits"]}


def test_each_library_answers_at_its_address(both: TestClient) -> None:
    whole = {"red", "green", "blue", "yellow", "grey"}
    assert titles(both, "/v1") == titles(both, "/v1/libraries/default") == whole
    assert titles(both, NEWS) == titles(both, f"{NEWS}/v1") == whole - {"red"}
    assert both.get(f"{NEWS}/clips").json()["total"] == 4 and both.get("/v1/clips").json()["total"] == 5
    assert both.get(f"{NEWS}/readyz").json()["library"]["videos"] == 4


def test_what_a_library_answers_names_its_own_addresses(both: TestClient) -> None:
    hit = both.get(f"{NEWS}/search/clips", params={"q": "a square", "k": 1}).json()["hits"][0]
    for name in ("thumbnail_url", "strip_url", "media_url"):
        assert hit[name].startswith(f"{NEWS}/clips/{hit['clip_id']}/")
        assert both.get(hit[name]).status_code == 200
    video = both.get(f"{NEWS}/videos", params={"first_clips": 1}).json()["items"][0]
    assert video["thumbnail_url"] == video["first_clips"][0]["thumbnail_url"]
    assert video["thumbnail_url"].startswith(NEWS)
    listed = both.post(f"{NEWS}/clips/list", json={"clip_ids": [hit["clip_id"]], "format": "m3u8"}).text
    assert f"{NEWS}/clips/{hit['clip_id']}/media" in listed
    refused = both.get(f"{NEWS}/clips/99")
    assert refused.status_code == 404 and refused.json()["instance"] == f"{NEWS}/clips/99"


def test_the_libraries_are_listed(both: TestClient) -> None:
    default, news = both.get("/v1/libraries").json()["libraries"]
    assert (default["name"], default["default"], default["counts"]["clips"]) == ("default", True, 5)
    assert (news["name"], news["default"], news["counts"]["clips"], news["url"]) == ("news", False, 4, NEWS)
    assert both.get(NEWS).json() == both.get(f"{NEWS}/library").json()
    for name, address in (("default", "/v1"), ("news", NEWS)):
        about = both.get(f"{address}/library").json()
        assert (about["name"], about["libraries"]) == (name, ["default", "news"])
    for path in ("/v1/libraries/other", "/v1/libraries/other/search/clips?q=a", "/v1/libraries/other/clips/1/media"):
        missing = both.get(path)
        assert missing.status_code == 404 and "The libraries are: default, news." in missing.json()["detail"]
    assert both.get(f"{NEWS}/nowhere").json()["detail"] == f"GET {NEWS}/nowhere: not found."


def test_the_page_of_a_library_is_below_its_address(both: TestClient) -> None:
    assert "<title>" in both.get(f"{NEWS}/").text
    assert both.get(f"{NEWS}/page/app.js").status_code == 200


def test_metrics_name_the_library(both: TestClient) -> None:
    titles(both, NEWS)
    text = both.get("/metrics").text
    assert 'quartet_index_items{gallery="clips",library="default"} 5.0' in text
    assert 'quartet_index_items{gallery="clips",library="news"} 4.0' in text
    assert 'quartet_requests_total{library="news",method="POST",route="/v1/search/clips",status="200"} 1.0' in text
    assert text.count("# TYPE quartet_index_items ") == 1
    assert "quartet_encoders_alive 1.0" in text  # one model for both


def test_jobs_belong_to_their_library(both: TestClient) -> None:
    made = both.post(f"{NEWS}/library/verify", json={"content": False})
    assert made.status_code == 202, made.text
    assert made.headers["Location"] == f"{NEWS}/jobs/{made.json()['id']}"
    with both.stream("GET", f"{made.headers['Location']}/events") as events:
        last = list(events.iter_lines())[-2]
    assert '"state":"done"' in last and '"problems":[]' in last, last
    assert both.get("/v1/jobs").json()["jobs"] == []
    assert both.get(f"/v1/jobs/{made.json()['id']}").status_code == 404


def test_roles_hold_in_every_library(built_world: World, fewer: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("reader read a-key-that-only-reads\n", encoding="utf-8")
    settings = Settings(library=built_world.library, libraries={"news": fewer}, api_keys_file=keys)
    with TestClient(create_app(settings, FakeEncoder())) as client:
        assert client.get(f"{NEWS}/clips").status_code == 401
        assert client.get("/v1/libraries").status_code == 401
        assert client.get(f"{NEWS}/healthz").status_code == 200
        client.headers["X-API-Key"] = "a-key-that-only-reads"
        assert client.post(f"{NEWS}/search/clips", json={"query": "a"}).status_code == 200
        assert client.delete(f"{NEWS}/videos", params={"video_id": 1}).status_code == 403
        assert client.delete(f"{NEWS}/v1/videos", params={"video_id": 1}).status_code == 403


def test_libraries_come_from_the_environment(built_world: World, fewer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUARTET_LIBRARIES", f"news={fewer}, all={built_world.library}")
    monkeypatch.setenv("QUARTET_MODEL", "fake")
    own = Settings().by_library()
    assert list(own) == ["news", "all"]
    assert (own["news"].model, own["all"].model) == ("fake", None)
    with TestClient(create_app(Settings(), FakeEncoder())) as client:
        assert client.get("/v1/clips").json()["total"] == 4
        assert client.get("/v1/libraries/all/clips").json()["total"] == 5
    for given in (f"default={fewer}", f"a/b={fewer}", f"one={fewer},two={fewer}"):
        with pytest.raises(ValidationError):
            Settings(libraries=given)  # type: ignore[arg-type]


def test_the_same_model_is_loaded_once(built_world: World, fewer: Path) -> None:
    encoders = ServingEncoders()
    first = encoders.load(Settings(library=built_world.library, model="fake", device="cpu", workers=1))
    second = encoders.load(Settings(library=fewer, model="fake", device="cpu", workers=1))
    assert isinstance(first, EncoderProcesses) and second is first and first.alive == 1
    second.close()
    assert first.alive == 1 and len(first.attributes(["a red square"])) == 1
    first.close()
    assert first.alive == 0
    third = encoders.load(Settings(library=fewer, model="fake", device="cpu", workers=1))
    assert third is not first and isinstance(third, EncoderProcesses) and third.alive == 1
    third.close()
