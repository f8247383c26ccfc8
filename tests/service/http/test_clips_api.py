"""Clips, their pictures and their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from indexer.ingest.index_run import index_videos
from indexer.media.clip_reader import read_clips
from model.fake_encoder import FakeEncoder
from service.http.app import create_app
from service.http.file_responses import video_type
from service.settings import Settings

if TYPE_CHECKING:
    from tests.service.conftest import World


def test_a_clip_and_its_captions(client: TestClient, built_world: World) -> None:
    clips = [client.get(f"/v1/clips/{clip_id}").json() for clip_id in range(1, 6)]
    for clip in clips:
        assert [caption["text"] for caption in clip["captions"]] == [built_world.texts[clip["title"]]]
        assert clip["end"] == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize("path", ["/v1/clips/99", "/v1/clips/99/thumbnail", "/v1/clips/99/strip", "/v1/clips/99/media"])
def test_an_unknown_clip(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "99" in answer.json()["detail"]


@pytest.mark.parametrize("clip_id", ["0", "-1", "one", str(2**63)])
def test_a_malformed_id(client: TestClient, clip_id: str) -> None:
    answer = client.get(f"/v1/clips/{clip_id}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "path.clip_id"


def test_the_thumbnail_is_a_cached_webp(client: TestClient) -> None:
    answer = client.get("/v1/clips/1/thumbnail")
    assert answer.headers["content-type"] == "image/webp"
    assert answer.content[:4] == b"RIFF" and answer.content[8:12] == b"WEBP"
    assert "max-age" in answer.headers["cache-control"]
    again = client.get("/v1/clips/1/thumbnail", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    other = client.get("/v1/clips/1/thumbnail", headers={"If-None-Match": '"another"'})
    assert other.status_code == 200


def test_the_contact_strip_is_a_cached_webp(client: TestClient) -> None:
    answer = client.get(client.get("/v1/clips/1").json()["strip_url"])
    assert answer.headers["content-type"] == "image/webp"
    assert answer.content[8:12] == b"WEBP"
    again = client.get("/v1/clips/1/strip", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_media_is_the_file(client: TestClient, built_world: World) -> None:
    title = client.get("/v1/clips/1").json()["title"]
    content = (built_world.videos / f"{title}.mp4").read_bytes()
    whole = client.get("/v1/clips/1/media")
    assert whole.content == content
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    first = client.get("/v1/clips/1/media", headers={"Range": "bytes=0-9"})
    assert (first.status_code, first.content) == (206, content[:10])
    assert first.headers["content-range"] == f"bytes 0-9/{len(content)}"
    last = client.get("/v1/clips/1/media", headers={"Range": "bytes=-5"})
    assert (last.status_code, last.content) == (206, content[-5:])
    tail = client.get("/v1/clips/1/media", headers={"Range": "bytes=100-"})
    assert (tail.status_code, tail.content) == (206, content[100:])
    unchanged = client.get("/v1/clips/1/media", headers={"Range": "bytes=0-9", "If-Range": first.headers["etag"]})
    assert unchanged.status_code == 206
    changed = client.get("/v1/clips/1/media", headers={"Range": "bytes=0-9", "If-Range": '"old"'})
    assert (changed.status_code, changed.content) == (200, content)


@pytest.mark.parametrize("wanted", ["bytes=99999999-", "bytes=abc", "pages=1-2"])
def test_a_range_that_cannot_be_served(client: TestClient, wanted: str) -> None:
    size = len(client.get("/v1/clips/1/media").content)
    answer = client.get("/v1/clips/1/media", headers={"Range": wanted})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{size}"
    assert answer.json()["type"] == "/problems#range-not-satisfiable"


def test_a_file_that_is_gone(make_video: Callable[..., None], tmp_path: Path) -> None:

    video = tmp_path / "late" / "late.mp4"
    video.parent.mkdir()
    make_video(video, (9, 99, 9))
    library = tmp_path / "other"
    index_videos(library, [video.parent], FakeEncoder())
    video.unlink()
    with TestClient(create_app(Settings(library=library), FakeEncoder())) as client:
        answer = client.get("/v1/clips/1/media")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "late.mp4 is no longer on disk. Index the videos again."


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.MP4", "video/mp4"),
        ("a.mkv", "video/x-matroska"),
        ("a.webm", "video/webm"),
        ("a", "application/octet-stream"),
    ],
)
def test_content_types_by_suffix(name: str, expected: str) -> None:
    assert video_type(Path(name)) == expected


def test_a_clip_as_a_file(films: World, tmp_path: Path) -> None:
    with TestClient(create_app(Settings(library=films.library), FakeEncoder())) as client:
        clip = next(
            one for one in client.get("/v1/clips").json()["items"] if one["title"] == "film" and one["start"] > 0
        )
        answer = client.get(f"/v1/clips/{clip['clip_id']}/file")
        assert answer.status_code == 200
        assert "attachment" in answer.headers["content-disposition"]
        file = tmp_path / "clip.mp4"
        file.write_bytes(answer.content)
        (read,) = read_clips(file, 1)
        assert read.info.duration == pytest.approx(clip["end"] - clip["start"], abs=1 / 16)
        padded = client.get(f"/v1/clips/{clip['clip_id']}/file", params={"padding": 0.5})
        file.write_bytes(padded.content)
        (read,) = read_clips(file, 1)
        assert read.info.duration == pytest.approx(clip["end"] - clip["start"] + 1, abs=1 / 16)
        assert client.get("/v1/clips/99999/file").status_code == 404


def test_a_selection_as_a_list(films: World) -> None:
    with TestClient(create_app(Settings(library=films.library), FakeEncoder())) as client:
        body = {"clip_ids": [2, 1], "format": "csv", "padding": 0.25}
        lines = client.post("/v1/clips/list", json=body).text.splitlines()
        assert lines[0] == "clip_id,title,media,start,end"
        assert [line.split(",")[0] for line in lines[1:]] == ["2", "1"]
        assert lines[1].split(",")[2] == "http://testserver/v1/clips/2/media"
        for format in ("m3u8", "otio", "edl", "fcpxml"):
            answer = client.post("/v1/clips/list", json={**body, "format": format})
            assert answer.status_code == 200, answer.text
            assert "clips/2/media" in answer.text or format == "edl"
        assert client.post("/v1/clips/list", json={"clip_ids": [99999], "format": "csv"}).status_code == 404
        assert client.post("/v1/clips/list", json={"clip_ids": [], "format": "csv"}).status_code == 422
