"""Tagging and removing videos, and lists of videos by tag, folder and order, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.testclient import TestClient

from indexer.disk.writer_lock import writer_lock
from model.fake_encoder import FakeEncoder
from service.http.app import create_app
from service.settings import Settings

if TYPE_CHECKING:
    from tests.service.conftest import World


def ids(client: TestClient) -> dict[str, int]:
    return {video["title"]: video["video_id"] for video in client.get("/v1/videos").json()["items"]}


def titles(client: TestClient, **wanted: object) -> list[str]:
    return [video["title"] for video in client.get("/v1/videos", params=wanted).json()["items"]]  # type: ignore[arg-type]


def test_videos_are_tagged_and_listed_by_their_tags(world: World) -> None:
    with TestClient(create_app(Settings(library=world.library), FakeEncoder())) as client:
        known = ids(client)
        chosen = {"video_ids": [known["red"], known["blue"]], "add": ["Bright  Ones", "mine"]}
        assert client.post("/v1/videos/tags", json=chosen).json() == {"videos": 2}
        assert titles(client, tag="bright ones") == ["blue", "red"]
        client.post("/v1/videos/tags", json={"video_ids": [known["red"]], "remove": ["mine"]})
        assert titles(client, tag=["bright ones", "mine"]) == ["blue"]
        assert titles(client, sort="title", q="re") == ["green", "grey", "red"]
        assert titles(client, video_id=[known["red"], known["grey"]], sort="duration") == ["grey", "red"]
        assert titles(client, path="nowhere") == []
        assert client.get("/v1/folders").json()["items"] == []
        assert client.post("/v1/videos/tags", json={"video_ids": [4711], "add": ["x"]}).status_code == 404
        assert client.post("/v1/videos/tags", json={"video_ids": [1], "add": ["!"]}).status_code == 422


def test_videos_are_removed_and_their_files_stay(world: World) -> None:
    with TestClient(create_app(Settings(library=world.library), FakeEncoder())) as client:
        red = ids(client)["red"]
        assert client.delete("/v1/videos", params={"video_id": red}).json() == {"videos": 1}
        assert "red" not in titles(client)
        hits = client.post("/v1/search/clips", json={"query": "a red square"}).json()["hits"]
        assert len(hits) == 4 and red not in [hit["video_id"] for hit in hits]
        assert (world.videos / "red.mp4").exists()
        assert client.delete("/v1/videos").status_code == 422
        with writer_lock(world.library):
            refused = client.delete("/v1/videos", params={"video_id": ids(client)["blue"]})
        assert refused.status_code == 409 and "is writing the library" in refused.json()["detail"]


def test_what_is_said_in_a_video(client: TestClient) -> None:
    known = ids(client)
    page = client.get(f"/v1/videos/{known['red']}/texts").json()
    assert page["total"] == 1
    assert page["items"][0] | {"caption_id": 0} == {
        "caption_id": 0, "text": "a red square sliding past a wall", "source": "captions.jsonl",
        "start": None, "end": None, "language": None,
    }  # fmt: skip
    assert client.get("/v1/videos/4711/texts").status_code == 404


def test_refused_files_name_their_folder(client: TestClient) -> None:
    assert {one["file"]: one["folder"] for one in client.get("/v1/failures").json()["items"]} == {
        "empty.mp4": "videos",
        "no [b]markup.mp4": "videos",
    }
