"""Clips for browsers that cannot play their videos: H.264 of the clip alone, kept within a quota."""

from __future__ import annotations

import threading
from io import BytesIO
from pathlib import Path

import av
import pytest
from fastapi.testclient import TestClient

from indexer.catalog.records import Clip
from indexer.ingest.index_run import index_videos
from indexer.media.segmentation import Segmentation
from model.fake_encoder import FakeEncoder
from quartet.errors import BusyError, InputError
from service.http import moment_proxies
from service.http.app import create_app
from service.http.moment_proxies import MAX_SECONDS, MomentProxies
from service.settings import Settings
from tests.service.conftest import PART, write_film, write_video


def test_a_clip_is_encoded_for_a_browser(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    write_film(tmp_path / "films" / "film.mp4")
    index_videos(tmp_path / "lib", [tmp_path / "films"], FakeEncoder(), segmentation=Segmentation("window", PART, 0))
    with TestClient(create_app(Settings(library=tmp_path / "lib"), FakeEncoder())) as client:
        clip = client.get("/v1/clips").json()["items"][1]
        answer = client.get(f"/v1/clips/{clip['clip_id']}/proxy")
        assert answer.headers["content-type"] == "video/mp4"
        with av.open(BytesIO(answer.content)) as container:
            assert container.streams.video[0].codec_context.name == "h264"
            times = [frame.time for frame in container.decode(video=0)]
        assert times[0] == 0 and len(times) == 8 * PART
        part = client.get(f"/v1/clips/{clip['clip_id']}/proxy", headers={"Range": "bytes=0-9"})
        assert part.status_code == 206 and part.content == answer.content[:10]
        assert client.get("/v1/clips/4711/proxy").status_code == 404


def made(path: Path, number: int, end: float = 1.0) -> Clip:
    return Clip(number, 1, 0.0, end, path, path.stem, 0.0)


def test_proxies_are_kept_within_a_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = tmp_path / "red.mp4"
    write_video(film, (200, 40, 40))
    proxies = MomentProxies(quota=0)
    first = proxies.file(made(film, 1), film)
    second = proxies.file(made(film, 2), film)
    assert second.exists() and not first.exists()
    # What is there is not made again.
    monkeypatch.setattr(moment_proxies, "write_clip", None)
    assert proxies.file(made(film, 2), film) == second
    proxies.close()
    assert not second.exists()


def test_one_is_made_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxies, begun, end = MomentProxies(), threading.Event(), threading.Event()

    def slow(path: Path, start: float, end_: float, target: Path, *, encode: bool) -> None:
        begun.set()
        assert end.wait(30) and encode
        target.write_bytes(b"film")

    monkeypatch.setattr(moment_proxies, "write_clip", slow)
    first = threading.Thread(target=proxies.file, args=(made(tmp_path, 1), tmp_path))
    first.start()
    assert begun.wait(30)
    with pytest.raises(BusyError):
        proxies.file(made(tmp_path, 2), tmp_path)
    end.set()
    first.join(30)
    assert proxies.file(made(tmp_path, 2), tmp_path).exists()
    with pytest.raises(InputError, match="at most 120 s"):
        proxies.file(made(tmp_path, 3, MAX_SECONDS + 1), tmp_path)
    proxies.close()
