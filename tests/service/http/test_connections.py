"""What one connection and one client may cost: heads without an end, too many connections, other addresses."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx2
import pytest

from model.fake_encoder import FakeEncoder
from service.http.connections import MAX_HEAD
from service.settings import Settings
from tests.service.running import running

if TYPE_CHECKING:
    from tests.service.conftest import World

GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"


def exchanged(connection: socket.socket, pieces: list[bytes]) -> bytes:
    """What comes back for pieces that are sent until the service has had enough of them."""
    with connection:
        answer = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
        except OSError:
            pass
        while True:
            try:
                piece = connection.recv(65536)
            except ConnectionResetError:
                return answer
            if not piece:
                return answer
            answer += piece


@pytest.mark.parametrize(
    "pieces",
    [
        [GET] + [b"X-%d: %s\r\n" % (i, b"x" * 1000) for i in range(200)],
        [GET, b"X: ", *[b"x" * 10_000] * 20],
        [b"GET /" + b"x" * 200_000],
        [GET + b"X: " + b"x" * MAX_HEAD + b"\r\n\r\n"],
        # Behind a request that is answered.
        [GET + b"\r\n", GET, b"X: ", *[b"x" * 10_000] * 20],
        # Trailers, and the name of a chunk.
        [b"POST /v1/search/clips HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;", *[b"x" * 10_000] * 20],
    ],
)
def test_a_head_without_an_end_is_refused(built_world: World, pieces: list[bytes]) -> None:
    with running(Settings(library=built_world.library), FakeEncoder()) as service:
        answer = exchanged(service.connect(), pieces)
        assert httpx2.get(f"{service.url}/healthz").status_code == 200
    head, _, body = answer[answer.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ") and b"connection: close" in head.lower()
    problem = json.loads(body)
    assert problem["type"] == "/problems#head-too-large" and problem["request_id"].encode() in head


def test_a_large_head_within_the_limit_is_read(built_world: World) -> None:
    with running(Settings(library=built_world.library), FakeEncoder()) as service:
        answer = httpx2.get(f"{service.url}/healthz", headers={f"X-{i}": "x" * 1000 for i in range(55)})
        assert answer.status_code == 200


@pytest.mark.parametrize("given", [{"max_connections_per_client": 3}, {"max_connections": 3}])
def test_connections_have_a_largest_number(built_world: World, given: dict[str, int]) -> None:
    with running(Settings(library=built_world.library, **given), FakeEncoder()) as service:
        with ExitStack() as held:
            for _ in range(3):
                connection = held.enter_context(service.connect())
                connection.sendall(GET + b"\r\n")
                assert connection.recv(1000).startswith(b"HTTP/1.1 200")
            answer = exchanged(service.connect(), [])
            assert answer.startswith(b"HTTP/1.1 429 ") and b"/problems#too-many-connections" in answer
        # Closed connections leave room, as soon as the service has seen it.
        while exchanged(service.connect(), [GET + b"Connection: close\r\n\r\n"]).startswith(b"HTTP/1.1 429"):
            pass


def test_little_is_read_of_what_a_refused_client_goes_on_sending(built_world: World) -> None:
    sent = 0
    with running(Settings(library=built_world.library), FakeEncoder()) as service, service.connect() as connection:
        try:
            while sent < 128 * 2**20:
                sent += connection.send(b"X: " + b"x" * 65536)
        except OSError:
            pass
    # What the service throws away, and what fits into the buffers of the two sockets.
    assert sent < 32 * 2**20


def test_it_listens_on_addresses_of_ipv6(built_world: World) -> None:
    settings = Settings(library=built_world.library, allowed_hosts=("::1",))
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("This machine has no IPv6.")
    with running(settings, FakeEncoder(), listener) as service:
        assert httpx2.get(f"http://[::1]:{service.port}/readyz").status_code == 200
