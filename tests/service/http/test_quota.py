"""Uploads that stay: how much room they may take, and that nobody gets more by sending at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi import Request

from model.fake_encoder import FakeEncoder
from service.http.uploads.upload_quota import Quota
from service.problems import ProblemError
from service.settings import Settings
from tests.service.running import Running, running

if TYPE_CHECKING:
    from starlette.types import Message

    from tests.service.conftest import World

HEAD = b"POST /v1/jobs/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """600 bytes of the 1,000 that the tests give."""
    folder = tmp_path / "uploads"
    (folder / "old").mkdir(parents=True)
    (folder / "old" / "one.mp4").write_bytes(bytes(600))
    return folder


@pytest.fixture
def service(built_world: World, uploads: Path) -> Iterator[Running]:
    settings = Settings(library=built_world.library, upload_folder=uploads, upload_quota_bytes=1000)
    with running(settings, FakeEncoder()) as service:
        yield service


def answered(service: Running, *sent: bytes) -> tuple[HTTPResponse, str]:
    """What comes back for a request that does not end: the service does not wait for the rest of it."""
    with service.connect() as connection:
        for piece in sent:
            connection.sendall(piece)
        response = HTTPResponse(connection)
        response.begin()
        return response, response.read().decode()


def test_an_upload_that_says_its_length_is_refused_unread(service: Running, uploads: Path) -> None:
    response, body = answered(service, HEAD + b"Content-Length: 401\r\n\r\n")
    assert response.status == 507 and response.headers["content-type"] == "application/problem+json"
    assert "/problems#no-room" in body and "has 401 bytes. Other uploads use 600 of 1,000 bytes" in body
    assert [path.name for path in uploads.rglob("*")] == ["old", "one.mp4"]


def test_another_is_given_up_where_the_room_ends(service: Running, uploads: Path) -> None:
    piece = PART + bytes(300)
    chunk = b"%x\r\n%s\r\n" % (len(piece), piece)
    response, body = answered(service, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunk, b"64\r\n" + bytes(100))
    assert response.status == 507 and response.headers["connection"] == "close"
    assert " bytes or more. Other uploads use 600 of 1,000 bytes" in body
    assert [path.name for path in uploads.rglob("*")] == ["old", "one.mp4"]


def test_two_at_once_do_not_share_the_last_room(service: Running) -> None:
    with service.connect() as first:
        # The service says that it goes on when it reads the body, and so when the upload has been let in.
        first.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 300\r\n\r\n")
        assert first.recv(100).startswith(b"HTTP/1.1 100 ")
        first.sendall(PART)
        response, body = answered(service, HEAD + b"Content-Length: 300\r\n\r\n")
        assert response.status == 507 and "Other uploads use 900" in body


def request(size: int, *, declared: bool = True) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(size), "more_body": False}

    headers = [(b"content-length", str(size).encode())] if declared else []
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


def test_what_ended_well_is_taken_and_the_rest_is_free_again(uploads: Path) -> None:
    quota = Quota(uploads, 1000)

    async def upload(size: int, name: str, *, declared: bool = True, fails: bool = False) -> None:
        async with quota.admit(request(size, declared=declared), name) as counted:
            assert len(await counted.body()) == size
            if fails:
                raise ConnectionError
            (uploads / name).mkdir()
            (uploads / name / "a.mp4").write_bytes(bytes(size))

    async def run() -> None:
        with pytest.raises(ConnectionError):
            await upload(400, "one", fails=True)
        # Room that is promised while another looks, and taken before it has looked.
        async with asyncio.TaskGroup() as both:
            both.create_task(upload(200, "two"))
            both.create_task(upload(200, "three", declared=False))
        for declared in (True, False):
            with pytest.raises(ProblemError, match="Other uploads use 1,000"):
                await upload(1, "four", declared=declared)
        (uploads / "two" / "a.mp4").unlink()
        await upload(200, "five", declared=False)

    asyncio.run(run())
    assert sorted(path.name for path in uploads.iterdir()) == ["five", "old", "three", "two"]
