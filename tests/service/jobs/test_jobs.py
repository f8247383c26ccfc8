"""Indexing in the background, in a process of its own, with the fake model."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from starlette.datastructures import UploadFile

from indexer.disk.writer_lock import writer_lock
from indexer.ingest.index_run import index_videos
from indexer.store.library import Library
from model.fake_encoder import FakeEncoder
from service.http.app import create_app
from service.http.uploads.stored_uploads import file_name
from service.observe.logs import REQUEST_ID
from service.settings import Settings

if TYPE_CHECKING:
    from tests.service.conftest import World

SECONDS = 60  # a bound on what would otherwise hang, never reached


@pytest.fixture
def films(tmp_path: Path, make_video: Callable[..., None]) -> Path:
    folder = tmp_path / "films"
    (folder / "new").mkdir(parents=True)
    make_video(folder / "new" / "one.mp4", (10, 200, 90))
    (folder / "new" / "broken.mp4").write_text("words", encoding="utf-8")
    (tmp_path / "secret.mp4").write_text("words", encoding="utf-8")
    (folder / "out").symlink_to(tmp_path)
    return folder


@pytest.fixture
def client(tmp_path: Path, films: Path) -> Iterator[TestClient]:
    Library.create(tmp_path / "library", FakeEncoder().spec).close()
    settings = Settings(
        library=tmp_path / "library",
        model="fake",
        job_folders={"films": films},
        upload_folder=tmp_path / "uploads",
        max_jobs=1,
        reload_interval=60,
    )
    with TestClient(create_app(settings, FakeEncoder())) as client:
        yield client


def ended(client: TestClient, location: str) -> Any:
    """The job when it has ended: its requests wait for nothing, so they are bounded by time alone."""
    over = threading.Event()
    timer = threading.Timer(SECONDS, over.set)
    timer.start()
    try:
        while not over.wait(0.05):
            job = client.get(location).json()
            if job["finished"]:
                return job
    finally:
        timer.cancel()
    raise AssertionError(f"{location} has not ended")


def test_a_folder_is_indexed_and_searched(client: TestClient) -> None:
    known = client.get("/v1/jobs").json()
    assert known == {"folders": ["films"], "uploads": True, "jobs": []}
    made = client.post("/v1/jobs", json={"folder": "films", "path": "new"})
    assert made.status_code == 202 and made.json()["state"] in ("queued", "running")
    job = ended(client, made.headers["location"])
    assert job["state"] == "done" and job["source"] == "films/new"
    assert job["report"]["indexed"] == 1
    assert [(one["file"], one["reason"]) for one in job["report"]["refused"]] == [("new/broken.mp4", "not-a-video")]
    assert job["progress"]["done"] == job["progress"]["total"] == 2
    answer = client.post("/v1/search/clips", json={"query": "a square"}).json()
    assert [hit["title"] for hit in answer["hits"]] == ["one"]
    assert answer["generation"] == job["report"]["generation"]
    assert client.get("/v1/failures").json()["items"][0]["file"] == "broken.mp4"
    assert client.get("/v1/jobs").json()["jobs"] == [job]


def test_every_job_logs_under_the_request_that_made_it(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    ids: list[tuple[str, str | None]] = []

    class Noted(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().endswith((" is done.", "new.")):
                ids.append((record.getMessage().split()[1], REQUEST_ID.get()))

    log, handler = logging.getLogger("service.jobs.job_queue"), Noted()
    caplog.set_level(logging.INFO, log.name)
    log.addHandler(handler)
    try:
        made = {}
        for request_id in ("one", "two"):
            answer = client.post(
                "/v1/jobs", json={"folder": "films", "path": "new"}, headers={"X-Request-ID": request_id}
            )
            made[ended(client, answer.headers["location"])["id"]] = request_id
    finally:
        log.removeHandler(handler)
    assert ids == [(job, request_id) for job, request_id in made.items() for _ in range(2)]


def test_a_job_knows_where_the_roots_lie(tmp_path: Path, films: Path) -> None:
    before = films.rename(tmp_path / "before")
    index_videos(tmp_path / "library", [before], FakeEncoder())
    before.rename(films)
    given = {"model": "fake", "roots": {"before": films}, "job_folders": {"films": films}}
    with TestClient(create_app(Settings(library=tmp_path / "library", **given), FakeEncoder())) as client:
        made = client.post("/v1/jobs", json={"folder": "films", "path": "new"})
        report = ended(client, made.headers["location"])["report"]
    assert (report["indexed"], report["moved"], report["unchanged"]) == (0, 0, 1)


def test_uploaded_videos_are_kept_and_indexed(client: TestClient, films: Path, tmp_path: Path) -> None:
    video = (films / "new" / "one.mp4").read_bytes()
    files = [("file", ("../../a b.mp4", video)), ("file", (".hidden", video + b"x")), ("file", ("", b"x"))]
    made = client.post("/v1/jobs/upload", files=files[:2])
    assert made.status_code == 202
    job = ended(client, made.headers["location"])
    assert job["state"] == "done" and job["report"]["indexed"] >= 1
    assert job["source"] == "a b.mp4, hidden"
    (folder,) = (tmp_path / "uploads").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["a b.mp4", "hidden"]
    clip = client.get("/v1/clips").json()["items"][0]
    assert clip["title"] == "a b" and client.get(clip["media_url"]).content == video
    # The next one gets a folder of its own, and both are of one root.
    other = ended(
        client, client.post("/v1/jobs/upload", files=[("file", ("a b.mp4", video + b"y"))]).headers["location"]
    )
    assert other["report"]["indexed"] == 1 and other["progress"]["total"] == 1
    videos = client.get("/v1/videos").json()["items"]
    assert {video["root"] for video in videos} == {"uploads"}
    assert sorted(video["title"] for video in videos if video["title"] != "hidden") == ["a b", "a b"]


def test_an_upload_past_the_quota_is_refused(built_world: World, tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    (uploads / "old").mkdir(parents=True)
    (uploads / "old" / "one.mp4").write_bytes(bytes(600))
    settings = Settings(library=built_world.library, upload_folder=uploads, upload_quota_bytes=1000)
    with TestClient(create_app(settings, FakeEncoder())) as client:
        full = client.post("/v1/jobs/upload", files=[("file", ("a.mp4", bytes(200))), ("file", ("b.mp4", bytes(201)))])
        assert client.get("/v1/jobs").json()["jobs"] == []
    assert full.status_code == 507 and full.json()["type"] == "/problems#no-room"
    assert "use 600 of 1,000" in full.json()["detail"]
    assert [path.name for path in uploads.rglob("*")] == ["old", "one.mp4"]


def test_a_full_disk_is_told_and_leaves_nothing(
    built_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(upload: UploadFile, data: bytes) -> None:
        upload.file.write(data[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(UploadFile, "write", full)
    settings = Settings(library=built_world.library, upload_folder=tmp_path / "uploads")
    with TestClient(create_app(settings, FakeEncoder())) as client:
        answer = client.post("/v1/jobs/upload", files={"file": ("a.mp4", b"a")})
    assert answer.status_code == 507 and "No space left" in answer.json()["detail"]
    assert list((tmp_path / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Ferien in Ägypten, 2024.mp4", "Ferien in Ägypten, 2024.mp4"),
        ("A\N{COMBINING DIAERESIS}.mp4", "\N{LATIN CAPITAL LETTER A WITH DIAERESIS}.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\films\\a.mp4", "a.mp4"),
        ("..", "video"),
        ("", "video"),
        (". .hidden", "hidden"),
        ("a\0\n\x1b[1m.mp4", "a[1m.mp4"),
        ("\udcff.mp4", "mp4"),
        ("A.MP4", "A (3).MP4"),
        ("ä" * 300 + ".mp4", "ä" * 98 + ".mp4"),
        ("a." + "x" * 300, "a." + "x" * 198),
    ],
)
def test_names_of_uploads(given: str, name: str) -> None:
    assert file_name(given, ["a.mp4", "a (2).MP4"] if given == "A.MP4" else []) == name


@pytest.mark.parametrize(
    "path", ["..", "../secret.mp4", "/etc/passwd", "out", "out/secret.mp4", "new/../..", "gone", "a\0b", "x" * 999]
)
def test_nothing_outside_of_the_folder_is_indexed(client: TestClient, path: str) -> None:
    answer = client.post("/v1/jobs", json={"folder": "films", "path": path})
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems#unusable-input"
    assert client.get("/v1/jobs").json()["jobs"] == []


def test_what_is_no_job_is_refused(client: TestClient) -> None:
    unknown = client.post("/v1/jobs", json={"folder": "music"})
    assert unknown.status_code == 422 and "The folders are: films" in unknown.json()["detail"]
    assert client.post("/v1/jobs", json={"path": "new"}).status_code == 422
    assert client.post("/v1/jobs/upload", files={"other": ("a.mp4", b"a")}).json()["errors"][0]["field"] == "body.file"
    assert client.get("/v1/jobs/none").status_code == 404
    assert client.post("/v1/jobs/none/cancel").status_code == 404


def test_jobs_wait_can_be_cancelled_and_are_bounded(client: TestClient, tmp_path: Path) -> None:
    with writer_lock(tmp_path / "library"):
        # The first job waits for the lock, so that the second one has to wait for the first.
        first = client.post("/v1/jobs", json={"folder": "films"}).json()["id"]
        while client.get(f"/v1/jobs/{first}").json()["state"] == "queued":
            pass
        second = client.post("/v1/jobs", json={"folder": "films"}).json()["id"]
        third = client.post("/v1/jobs", json={"folder": "films"})
        assert third.status_code == 429 and int(third.headers["retry-after"]) > 0
        assert client.post(f"/v1/jobs/{second}/cancel").json()["state"] == "cancelled"
        client.post(f"/v1/jobs/{first}/cancel")
        assert ended(client, f"/v1/jobs/{first}")["state"] == "cancelled"
    again = client.post(f"/v1/jobs/{second}/cancel")
    assert again.status_code == 409 and again.json()["type"] == "/problems#conflict"


def test_a_job_that_cannot_run_says_why(client: TestClient, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "library" / "generations")
    made = client.post("/v1/jobs", json={"folder": "films"})
    job = ended(client, made.headers["location"])
    assert job["state"] == "failed" and "cannot be read" in job["error"]


def test_without_folders_there_are_no_jobs(built_world: World) -> None:
    with TestClient(create_app(Settings(library=built_world.library), FakeEncoder())) as client:
        assert client.get("/v1/jobs").json() == {"folders": [], "uploads": False, "jobs": []}
        assert "QUARTET_JOB_FOLDERS" in client.post("/v1/jobs", json={"folder": "films"}).json()["detail"]
        upload = client.post("/v1/jobs/upload", files={"file": ("a.mp4", b"a")})
        assert upload.status_code == 422 and "QUARTET_UPLOAD_FOLDER" in upload.json()["detail"]
