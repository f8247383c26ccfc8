"""What must not hurt it: requests made from its own description, paths, broken and slow clients, random bytes."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import pytest
import schemathesis
from fastapi.testclient import TestClient
from schemathesis.checks import not_a_server_error
from schemathesis.python.asgi import shutdown_lifespans
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema

from benchmarks.service.fuzz import random_uploads
from model.fake_encoder import FakeEncoder
from service.http.app import create_app
from service.settings import Settings
from tests.service.running import running

if TYPE_CHECKING:
    from tests.service.conftest import World

PROBLEM = "application/problem+json"
SEED = 7
SEARCH = b"POST /v1/search/clips HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
BOUNDED = hypothesis.settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


@pytest.fixture(scope="module")
def description(built_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenApiSchema]:
    """Of an application over a library of its own: some of the calls change it. Schemathesis starts it by itself.

    Its jobs end at once, without a report: what commands do is tested elsewhere, and each takes seconds of a processor.
    """
    folder = tmp_path_factory.mktemp("safety")
    shutil.copytree(built_world.library, folder / "library")
    settings = Settings(
        library=folder / "library", model="fake", max_upload_bytes=200_000, max_jobs=1, upload_folder=folder / "uploads"
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("service.jobs.job_queue.command_of", lambda job, settings: ["true"])
        yield schemathesis.openapi.from_asgi("/openapi.json", create_app(settings, FakeEncoder()))
        shutdown_lifespans()


def operations() -> list[tuple[str, str]]:
    paths = create_app(Settings()).openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


@pytest.mark.parametrize(("method", "path"), operations())
def test_requests_made_from_the_description(description: OpenApiSchema, method: str, path: str) -> None:
    """Valid and invalid ones: no answer is a 5xx, and every answer is one that the description promises."""

    @BOUNDED
    @hypothesis.given(case=description[path][method].as_strategy())
    def conforms(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, timeout=300)  # 10 s are too few for a video on a busy machine

    conforms()


@pytest.mark.parametrize(
    "path",
    [
        "/page/../settings.py",
        "/page/%2e%2e/settings.py",
        "/page/..%2fsettings.py",
        "/page//etc/passwd",
        "/page/%2fetc%2fpasswd",
        "/page/..%5c..%5csettings.py",
        "/swagger/../../model/errors.py",
        "/v1/clips/1%2f..%2f..%2fmedia",
        "/v1/clips/../../etc/passwd/media",
        "/v1/clips/..%2f..%2fetc%2fpasswd/thumbnail",
        "/v1/clips/1/strip/../../../catalog.sqlite",
        "/v1/clips/1\0/media",
        "/%00",
        "//etc/passwd",
    ],
)
def test_no_path_leads_to_a_file(built_world: World, path: str) -> None:
    """As raw bytes over a socket: clients would tidy these up."""
    with running(Settings(library=built_world.library), FakeEncoder()) as service:
        answer = raw(
            service.connect(), f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode("latin-1")
        )
    status = int(answer.split(b" ")[1])
    assert status in (400, 404, 422), answer[:200]
    assert b"import" not in answer and b"root:" not in answer and b"SQLite" not in answer


def test_media_comes_only_from_the_roots(world: World, tmp_path: Path) -> None:
    """A link in the place of a video, from the library's folders, is not followed."""
    from sqlalchemy import update

    from indexer.catalog.schema import open_database, roots

    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"secret")
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "red.mp4").symlink_to(secret)
    (videos / "blue.mp4").mkdir()
    engine = open_database(world.library / "catalog.sqlite")
    with engine.begin() as connection:
        connection.execute(update(roots).values(path=str(videos)))
    engine.dispose()
    with TestClient(create_app(Settings(library=world.library), FakeEncoder())) as client:
        for clip in client.get("/v1/clips").json()["items"]:
            answer = client.get(clip["media_url"])
            assert answer.status_code == 404 and b"secret" not in answer.content


def test_uploads_of_random_bytes(client: TestClient) -> None:
    """Every one is refused with its reason. `python -m benchmarks.service.fuzz` sends ten thousand."""
    for content in random_uploads(SEED, 60):
        answer = client.post("/v1/search/captions/upload", files={"file": ("a.mp4", content)})
        assert answer.status_code == 422, (content, answer.text)
        assert answer.json()["type"] == "/problems#unusable-video"


@pytest.mark.parametrize("plane", range(17))
def test_queries_of_every_unicode_plane(client: TestClient, plane: int) -> None:
    rng = np.random.default_rng([SEED, plane])
    codes = rng.integers(plane << 16, (plane + 1) << 16, 200)
    text = "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000)
    answer = client.post("/v1/search/clips", json={"query": text, "k": 1})
    assert answer.status_code == 200, answer.text
    assert answer.json()["query"] == text.strip()


def test_half_a_surrogate_pair_is_refused(client: TestClient) -> None:
    for body in (
        b'{"query": "a \\ud800"}',
        b'{"query": "a", "\\ud800": 1}',
        b'{"query": ["a", "\\udfff"]}',
        b'{"query": "\xed\xa0\x80"}',
        b'{"query": "\xff"}',
        b"\xff\xfe{\x00",
    ):
        answer = client.post("/v1/search/clips", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422)
        assert answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"a"', b"{}", b'{"query":', b'{"query": NaN}', b"[" * 50_000, b'{"query": "a", "k": 1e400}'],
)
def test_bodies_that_are_no_search(client: TestClient, body: bytes) -> None:
    for path in ("/v1/search/clips", "/v1/search/captions", "/v1/search/similar", "/v1/jobs", "/v1/session"):
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), (path, answer.text)
        assert answer.headers["content-type"] == PROBLEM


# Starlette leaves the temporary file of a part that breaks off to the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--"),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"X: y\r\n" * 5000),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf',
        ),
        ("MULTIPART/FORM-DATA; boundary=b", b"--b--"),
    ],
)
def test_forms_that_are_none(client: TestClient, content_type: str, body: bytes) -> None:
    for path in ("/v1/search/captions/upload", "/v1/jobs/upload"):
        answer = client.post(path, content=body, headers={"Content-Type": content_type})
        assert answer.status_code in (400, 422), answer.text
        assert answer.headers["content-type"] == PROBLEM


def test_bodies_over_the_limit(built_world: World) -> None:
    settings = Settings(library=built_world.library, max_body_bytes=1000, max_upload_bytes=5000)
    with TestClient(create_app(settings, FakeEncoder())) as client:
        for path in ("/v1/search/clips", "/v1/search/captions", "/v1/jobs", "/v1/session"):
            declared = client.post(path, content=b"x" * 1001, headers={"Content-Type": "application/json"})
            streamed = client.post(path, content=iter([b"x" * 600] * 3), headers={"Content-Type": "application/json"})
            for answer in (declared, streamed):
                assert answer.status_code == 413, path
                assert answer.json()["type"] == "/problems#too-large" and "1,000 bytes" in answer.json()["detail"]
        assert client.post("/v1/search/captions/upload", files={"file": ("a", b"x" * 3000)}).status_code == 422
        assert client.post("/v1/search/captions/upload", files={"file": ("a", b"x" * 5000)}).status_code == 413


def raw(connection: socket.socket, request: bytes) -> bytes:
    """Everything that is answered until the service closes the connection."""
    with connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def test_a_client_that_is_too_slow_is_given_up(built_world: World) -> None:
    settings = Settings(library=built_world.library, receive_timeout=0.2)
    with running(settings, FakeEncoder()) as service:
        assert raw(service.connect(), b"") == b""
        assert raw(service.connect(), b"GET /healthz HTTP/1.1\r\nHost") == b""
        slow = raw(service.connect(), SEARCH + b'{"query"')
        assert slow.startswith(b"HTTP/1.1 408") and b"/problems#too-slow" in slow
        assert raw(service.connect(), b"\x16\x03\x01 no HTTP at all\r\n\r\n").startswith(b"HTTP/1.1 400")
        # And one that is quick is served meanwhile.
        quick = raw(service.connect(), b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert quick.startswith(b"HTTP/1.1 200")


def test_a_body_that_takes_too_long_is_given_up(built_world: World) -> None:
    settings = Settings(library=built_world.library, receive_timeout=30, upload_timeout=0.2)
    with running(settings, FakeEncoder()) as service:
        assert raw(service.connect(), SEARCH + b"{").startswith(b"HTTP/1.1 408")
