"""Uploads in pieces (tus 1.0): what the protocol asks for, quota and limits, and a client that goes on."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from model.fake_encoder import FakeEncoder
from quartet import Client
from quartet.errors import InputError, NotFoundError, UnreachableError
from service.http.app import create_app
from service.http.uploads.resumable_uploads import KEPT_SECONDS
from service.http.uploads.stored_uploads import new_home
from service.settings import Settings

if TYPE_CHECKING:
    from tests.service.conftest import World

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


def settings_of(world: World, tmp_path: Path, **given: Any) -> Settings:
    return Settings(library=world.library, model="fake", upload_folder=tmp_path / "uploads", **given)


@pytest.fixture
def http(world: World, tmp_path: Path) -> Iterator[TestClient]:
    settings = settings_of(world, tmp_path, max_upload_bytes=50_000, upload_quota_bytes=60_000, max_body_bytes=1000)
    with TestClient(create_app(settings, FakeEncoder())) as client:
        yield client


def begin(http: TestClient, size: int, name: str = "../a b.mp4") -> httpx2.Response:
    encoded = base64.b64encode(name.encode()).decode()
    return http.post(
        "/v1/uploads", headers={**TUS, "Upload-Length": str(size), "Upload-Metadata": f"filename {encoded}"}
    )


def test_the_protocol(http: TestClient, tmp_path: Path) -> None:
    told = http.options("/v1/uploads").headers
    assert (told["tus-version"], told["tus-extension"], told["tus-max-size"]) == (
        "1.0.0",
        "creation,termination",
        "50000",
    )
    made = begin(http, 5000)
    place = made.headers["location"]
    assert made.status_code == 201 and made.json()["name"] == "a b.mp4"
    first = http.patch(place, content=b"a" * 2000, headers={**PIECE, "Upload-Offset": "0"})
    assert first.status_code == 204 and first.headers["upload-offset"] == "2000"
    asked = http.head(place, headers=TUS)
    assert (asked.headers["upload-offset"], asked.headers["upload-length"]) == ("2000", "5000")
    assert asked.headers["cache-control"] == "no-store" and asked.headers["tus-resumable"] == "1.0.0"
    wrong = http.patch(place, content=b"a", headers={**PIECE, "Upload-Offset": "0"})
    assert wrong.status_code == 409 and "has 2,000 bytes" in wrong.json()["detail"]
    assert http.post(f"{place}/job").status_code == 409
    assert http.patch(place, content=b"a", headers={**TUS, "Upload-Offset": "2000"}).status_code == 415
    other = http.patch(place, content=b"a", headers={**PIECE, "Tus-Resumable": "0.2.2", "Upload-Offset": "2000"})
    assert other.status_code == 412 and other.headers["tus-version"] == "1.0.0"
    much = http.patch(place, content=b"a" * 3001, headers={**PIECE, "Upload-Offset": "2000"})
    assert much.status_code == 413 and http.head(place).headers["upload-offset"] == "2000"
    assert http.delete(place, headers=TUS).status_code == 204
    assert http.head(place).status_code == http.delete(place).status_code == 404
    assert http.get("/v1/uploads/..%2f..%2fetc").status_code == 404
    assert list((tmp_path / "uploads").iterdir()) == []


def test_quota_and_limits_are_those_of_other_uploads(http: TestClient) -> None:
    assert begin(http, 50_001).status_code == 413
    assert http.post("/v1/uploads", headers=TUS).json()["errors"][0]["field"] == "header.Upload-Length"
    bad = http.post("/v1/uploads", headers={"Upload-Length": "1", "Upload-Metadata": "filename a.mp4"})
    assert bad.status_code == 422 and "Base64" in bad.json()["detail"]
    first = begin(http, 40_000)
    full = begin(http, 30_000)
    assert full.status_code == 507 and "use 40,000 of 60,000" in full.json()["detail"]
    assert http.post("/v1/jobs/upload", files={"file": ("a.mp4", bytes(30_000))}).status_code == 507
    http.delete(first.headers["location"])
    assert begin(http, 30_000).status_code == 201


def test_what_nobody_goes_on_with_is_forgotten(http: TestClient, tmp_path: Path) -> None:
    begin(http, 40_000)
    (old,) = (tmp_path / "uploads").iterdir()
    os.utime(old / "content", (0, (old / "content").stat().st_mtime - KEPT_SECONDS - 1))
    assert begin(http, 40_000).status_code == 201
    assert not old.exists()


def test_several_are_indexed_by_one_job(http: TestClient, tmp_path: Path) -> None:
    first, second = (begin(http, 3, name).headers["location"] for name in ("a.mp4", "A.mp4"))
    ids = [place.rpartition("/")[2] for place in (first, second)]
    http.patch(first, content=b"abc", headers={**PIECE, "Upload-Offset": "0"})
    early = http.post("/v1/uploads/job", json={"uploads": ids})
    assert early.status_code == 409 and "0 of the 3 bytes of A.mp4" in early.json()["detail"]
    assert http.head(first).headers["upload-offset"] == "3"
    http.patch(second, content=b"def", headers={**PIECE, "Upload-Offset": "0"})
    assert http.post("/v1/uploads/job", json={"uploads": [*ids, "0" * 32]}).status_code == 404
    assert http.post("/v1/uploads/job", json={"uploads": []}).status_code == 422
    job = http.post("/v1/uploads/job", json={"uploads": ids}).json()
    assert job["source"] == "a.mp4, A (2).mp4"
    assert http.post("/v1/uploads/job", json={"uploads": ids}).json()["id"] == job["id"]
    (kept,) = (tmp_path / "uploads").iterdir()
    # A time, by which people find it in lists of folders.
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d", kept.name)
    assert new_home(kept.parent) != kept
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {"a.mp4": b"abc", "A (2).mp4": b"def"}
    http.post(f"/v1/jobs/{job['id']}/cancel")


class Unsteady(httpx2.BaseTransport):
    """Breaks every other connection that sends bytes: what it sends arrives, its answer does not."""

    def __init__(self, client: TestClient) -> None:
        self._client, self.broken = client, 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        answer = self._client.request(
            request.method, request.url.path, content=request.content, headers=request.headers
        )
        if request.method == "PATCH" and self.broken < 2:
            self.broken += 1
            raise httpx2.ReadError("broken")
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)


def test_the_client_goes_on_after_breaks_and_restarts(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quartet.operations._CHUNK_BYTES", 1000)
    monkeypatch.setattr("quartet.client.time.sleep", lambda seconds: None)
    video = tmp_path / "new.mp4"
    video.write_bytes((world.videos / "red.mp4").read_bytes() + b"x")
    size, told = video.stat().st_size, []
    settings = settings_of(world, tmp_path)
    with TestClient(create_app(settings, FakeEncoder())) as http:
        quartet = Client("http://testserver", http=http)
        begun = quartet.create_upload(video.name, size)
        http.patch(
            f"/v1/uploads/{begun.id}", content=video.read_bytes()[:1500], headers={**PIECE, "Upload-Offset": "0"}
        )
    with TestClient(create_app(settings, FakeEncoder())) as http:
        unsteady = Unsteady(http)
        quartet = Client("http://testserver", http=httpx2.Client(transport=unsteady))
        quartet.send_upload(begun.id, video, lambda sent, all: told.append((sent, all)))
        assert unsteady.broken == 2 and told[0] == (1500, size) and told[-1] == (size, size)
        job = quartet.index_upload(begun.id)
        assert job.source == "new.mp4" and quartet.index_upload(begun.id).id == job.id
        assert quartet.index_uploads([begun.id]).id == job.id
        (kept,) = (tmp_path / "uploads").iterdir()
        assert (kept / "new.mp4").read_bytes() == video.read_bytes()
        quartet.cancel(job.id)
        with pytest.raises(NotFoundError, match="no upload"):
            quartet.stored_upload(begun.id)


def test_the_client_gives_up_where_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("quartet.client.time.sleep", waited.append)
    video = tmp_path / "a.mp4"
    video.write_bytes(b"abc")

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "PATCH":
            raise httpx2.ConnectError("refused")
        return httpx2.Response(200, json={"id": "a", "name": "a.mp4", "size": 3, "received": 0})

    quartet = Client("http://quartet", http=httpx2.Client(transport=httpx2.MockTransport(answer)))
    with pytest.raises(UnreachableError):
        quartet.index_video(video)
    assert waited == [1, 2, 3, 4, 5]
    with pytest.raises(InputError, match="cannot be read"):
        quartet.index_video(tmp_path / "gone.mp4")
    video.write_bytes(b"")
    with pytest.raises(InputError, match="shorter"):
        quartet.send_upload("a", video)
