"""What a library holds, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from model.fake_encoder import FakeEncoder
from service.http.app import create_app
from service.settings import Settings

if TYPE_CHECKING:
    from tests.service.conftest import World


@pytest.mark.parametrize(("path", "total"), [("videos", 5), ("clips", 5), ("captions", 5), ("failures", 2)])
def test_pages_are_the_whole_list(client: TestClient, path: str, total: int) -> None:
    whole = client.get(f"/v1/{path}").json()
    assert (whole["total"], whole["offset"], whole["limit"], len(whole["items"])) == (total, 0, 100, total)
    parts = [client.get(f"/v1/{path}?limit=2&offset={offset}").json() for offset in (0, 2, 4, 6)]
    assert [item for part in parts for item in part["items"]] == whole["items"]
    for bad in ("limit=0", "limit=1001", "offset=-1", f"offset={2**64}"):
        assert client.get(f"/v1/{path}?{bad}").status_code == 422


def test_videos_by_their_titles(client: TestClient) -> None:
    def found(q: str) -> tuple[int, list[str]]:
        page = client.get("/v1/videos", params={"q": q}).json()
        return page["total"], [video["title"] for video in page["items"]]

    assert found("RE") == (3, ["green", "grey", "red"])
    assert found("e y") == (2, ["grey", "yellow"])
    assert found("gre\0en")[1] == ["green"]
    # No pattern of SQL.
    assert found("%") == found("_") == (0, [])
    one = client.get("/v1/videos", params={"q": "re", "limit": 1, "offset": 1}).json()
    assert one["total"] == 3 and [video["title"] for video in one["items"]] == ["grey"]


def test_videos_with_their_first_clips(films: World) -> None:
    with TestClient(create_app(Settings(library=films.library), FakeEncoder())) as client:
        bare = client.get("/v1/videos", params={"q": "film"}).json()["items"][0]
        film = client.get("/v1/videos", params={"q": "film", "first_clips": 2}).json()["items"][0]
        clips = client.get("/v1/clips", params={"video_id": film["video_id"]}).json()["items"]
        tags = client.get("/v1/tags").json()
    assert film["clips"] == 3 and film["first_clips"] == clips[:2] and bare == film | {"first_clips": []}
    assert film["thumbnail_url"] == clips[0]["thumbnail_url"] and film["tags"] == ["a film", "dull"]
    assert tags["items"] == [
        {"tag": "a film", "videos": 1},
        {"tag": "dull", "videos": 2},
        {"tag": "warm", "videos": 2},
    ]


def test_a_video_and_its_clips(client: TestClient) -> None:
    videos = client.get("/v1/videos").json()["items"]
    for video in videos:
        assert client.get(f"/v1/videos/{video['video_id']}").json() == video
        assert (video["clips"], video["width"], video["height"], video["root"]) == (1, 160, 120, "videos")
        clips = client.get(f"/v1/clips?video_id={video['video_id']}").json()
        assert clips["total"] == 1 and clips["items"][0]["title"] == video["title"]
    assert client.get("/v1/videos/99").status_code == 404
    assert client.get("/v1/clips?video_id=99").json()["items"] == []


def test_captions_and_failures_say_where_they_are_from(client: TestClient, built_world: World) -> None:
    captions = client.get("/v1/captions").json()["items"]
    assert {caption["text"] for caption in captions} == set(built_world.texts.values())
    for caption in captions:
        clip = client.get(f"/v1/clips/{caption['clip_id']}").json()
        assert built_world.texts[clip["title"]] == caption["text"] and caption["source"] == "captions.jsonl"
    failures = client.get("/v1/failures").json()["items"]
    assert [(one["file"], one["reason"]) for one in failures] == [
        ("empty.mp4", "empty-file"),
        ("no [b]markup.mp4", "not-a-video"),
    ]
    assert str(built_world.videos) not in str(failures)
