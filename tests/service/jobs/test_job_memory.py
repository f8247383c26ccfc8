"""What a client can rely on: a request that is repeated, jobs that outlive the service, a job that tells of itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer.disk.writer_lock import writer_lock
from indexer.store.library import Library
from model.fake_encoder import FakeEncoder
from service.http.app import create_app
from service.jobs.job import Job
from service.jobs.job_memory import JobMemory
from service.settings import Settings

KEY = {"Idempotency-Key": "films-of-today"}


@pytest.fixture
def settings(tmp_path: Path, make_video: Callable[..., None]) -> Settings:
    films = tmp_path / "films"
    (films / "new").mkdir(parents=True)
    make_video(films / "new" / "one.mp4", (10, 200, 90))
    Library.create(tmp_path / "library", FakeEncoder().spec).close()
    return Settings(library=tmp_path / "library", model="fake", job_folders={"films": films}, reload_interval=60)


def events(client: TestClient, job_id: str) -> list[Any]:
    """The events of a job until it has ended."""
    answer = client.get(f"/v1/jobs/{job_id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = [event for event in answer.text.split("\n\n") if event and not event.startswith(":")]
    assert all(event.startswith("event: job\ndata: ") for event in told)
    return [json.loads(event.removeprefix("event: job\ndata: ")) for event in told]


def test_a_job_outlives_the_service_and_tells_of_itself(settings: Settings) -> None:
    assert settings.library is not None
    with writer_lock(settings.library), TestClient(create_app(settings, FakeEncoder())) as client:
        made = client.post("/v1/jobs", json={"folder": "films"}, headers=KEY).json()
        while client.get(f"/v1/jobs/{made['id']}").json()["state"] == "queued":
            pass
        assert client.post("/v1/jobs", json={"folder": "films"}, headers=KEY).json()["id"] == made["id"]
        other = client.post("/v1/jobs", json={"folder": "films", "path": "new"}, headers=KEY)
        assert other.status_code == 409 and "already used: index of films" in other.json()["detail"]
        waiting = client.post("/v1/jobs", json={"folder": "films"}).json()
        client.post(f"/v1/jobs/{waiting['id']}/cancel")
        assert [job["state"] for job in events(client, waiting["id"])] == ["cancelled"]
    with TestClient(create_app(settings, FakeEncoder())) as client:
        assert client.post("/v1/jobs", json={"folder": "films"}, headers=KEY).json()["id"] == made["id"]
        assert [job["id"] for job in client.get("/v1/jobs").json()["jobs"]] == [waiting["id"], made["id"]]
        told = events(client, made["id"])
        assert told[-1]["state"] == "done" and told[-1]["report"]["indexed"] == 1
        assert told[-1] == client.get(f"/v1/jobs/{made['id']}").json()
        assert len(told) == len({json.dumps(job) for job in told})
        assert client.get("/v1/jobs/none/events").status_code == 404


def test_what_is_remembered_of_a_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory = JobMemory(tmp_path)
    ended = Job((tmp_path / "a.mp4",), tmp_path, tmp_path, "a.mp4", state="done", report={"indexed": 1})
    under_way = Job((), Path(), Path(), "b.srt", "captions", ("--video=b.mp4",), tmp_path / "given", state="running")
    memory.save([ended, under_way])
    first, second = memory.load()
    assert first == ended
    assert (second.state, second.kind, second.options, second.given) == (
        "queued", "captions", ("--video=b.mp4",), tmp_path / "given",
    )  # fmt: skip
    (tmp_path / "jobs.json").write_text("{", encoding="utf-8")
    assert memory.load() == [] and "cannot be read" in caplog.text
