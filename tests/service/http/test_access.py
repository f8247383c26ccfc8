"""Who may ask: addresses, keys, names and the pages of other sites."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from model.fake_encoder import FakeEncoder
from quartet.errors import InputError
from service.http.access import COOKIE
from service.http.app import create_app
from service.http.server import require_free, settings_to_listen
from service.settings import Settings

if TYPE_CHECKING:
    from tests.service.conftest import World

KEY = "a-key-of-some-length"


@pytest.fixture(scope="module")
def locked(built_world: World) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(library=built_world.library, api_key=KEY), FakeEncoder())) as client:
        yield client


def test_only_loopback_is_open_without_a_key(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        assert settings_to_listen(Settings(host=host)).allowed_hosts == ("localhost", "127.0.0.1", "::1")
    for host in ("0.0.0.0", "::", "192.168.1.7", "example.org"):
        with pytest.raises(InputError, match="QUARTET_API_KEY"):
            settings_to_listen(Settings(host=host))
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n", encoding="utf-8")
    for opened in (
        Settings(host="0.0.0.0", api_key=KEY),
        Settings(host="0.0.0.0", api_key_file=file),
        Settings(host="0.0.0.0", allow_no_key=True),
    ):
        assert settings_to_listen(opened).allowed_hosts == ()
    assert Settings(api_key_file=file).key() == KEY
    assert KEY not in repr(Settings(api_key=KEY))


def test_an_address_that_is_taken_or_none_is_told_first() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"Port {port} of 127.0.0.1 is already in use"):
            require_free(Settings(port=port))
    require_free(Settings(port=port))
    with pytest.raises(InputError, match=r"no address 'not\.\.valid'"):
        require_free(Settings(host="not..valid"))


@pytest.mark.parametrize("key", ["", "short", "a key with an ümlaut in it", "a key\nof two lines and more"])
def test_a_key_that_is_none_is_refused(key: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(key, encoding="utf-8")
    for settings in (Settings(api_key=key), Settings(api_key_file=file)):
        with pytest.raises(InputError, match="at least 16 printable ASCII"):
            settings.key()
    with pytest.raises(InputError, match="cannot be read"):
        Settings(api_key_file=tmp_path / "gone").key()


@pytest.mark.parametrize(
    "headers", [{"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer  {KEY}"}, {"X-API-Key": KEY}]
)
def test_the_key_opens(locked: TestClient, headers: dict[str, str]) -> None:
    assert locked.get("/readyz", headers=headers).status_code == 200
    assert locked.post("/v1/search/clips", json={"query": "a"}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"X-API-Key": f"{KEY}x"},
        {"X-API-Key": b"\xff\xfe"},
        {"Cookie": f"{COOKIE}={KEY}"},
    ],
)
def test_nothing_else_opens(locked: TestClient, headers: dict[str, str]) -> None:
    locked.app.state.attempts.__init__()  # type: ignore[attr-defined]
    for path in ("/readyz", "/metrics", "/v1/library", "/v1/clips/1/media", "/v1/jobs", "/nowhere"):
        answer = locked.get(path, headers=headers)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["type"] == "/problems#unauthorized"
        assert KEY not in answer.text


def test_every_route_of_the_api_is_locked(locked: TestClient) -> None:
    for path, methods in locked.get("/openapi.json").json()["paths"].items():
        for method in methods:
            status = locked.request(method, path.format(clip_id=1, video_id=1, job_id="x", name="x")).status_code
            assert (status == 401) == (path not in ("/healthz", "/v1/session")), path


def test_the_page_logs_in_with_a_cookie(built_world: World) -> None:
    with TestClient(create_app(Settings(library=built_world.library, api_key=KEY), FakeEncoder())) as client:
        for path in ("/", "/page/app.js", "/healthz", "/docs", "/problems"):
            assert client.get(path).status_code == 200
        assert client.get("/v1/session").json() == {"required": True, "authorized": False, "role": None}
        assert client.post("/v1/session", json={"key": "wrong"}).status_code == 401
        answer = client.post("/v1/session", json={"key": KEY})
        assert answer.status_code == 204
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and KEY not in cookie
        assert client.get("/v1/session").json() == {"required": True, "authorized": True, "role": "admin"}
        assert client.get("/v1/clips/1/thumbnail").status_code == 200
        (session,) = (f"{COOKIE}={value}" for value in client.cookies.values())
        client.delete("/v1/session")
        # Whoever has kept the cookie has nothing any more.
        assert client.get("/v1/clips/1/thumbnail", headers={"Cookie": session}).status_code == 401
        assert client.get("/v1/clips/1/thumbnail").status_code == 401


def test_without_a_key_nothing_has_to_be_shown(client: TestClient) -> None:
    assert client.get("/v1/session").json() == {"required": False, "authorized": True, "role": None}
    assert client.post("/v1/session", json={"key": "any"}).status_code == 204


def test_pages_of_other_sites_change_nothing(client: TestClient) -> None:
    body = {"query": "a"}
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver:81"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        answer = client.post("/v1/search/clips", json=body, headers=headers)
        assert answer.status_code == 403, headers
        assert answer.json()["type"] == "/problems#forbidden"
    own = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/v1/search/clips", json=body, headers=own).status_code == 200
    assert client.get("/v1/library", headers={"Origin": "https://evil.example"}).status_code == 200


def test_only_known_names_are_answered_to(built_world: World) -> None:
    settings = settings_to_listen(Settings(library=built_world.library))
    with TestClient(create_app(settings, FakeEncoder()), base_url="http://127.0.0.1:8000") as client:
        for host in ("127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000"):
            assert client.get("/healthz", headers={"Host": host}).status_code == 200
        for host in ("evil.example", "127.0.0.1.evil.example", "", "[::2]"):
            assert client.get("/healthz", headers={"Host": host}).status_code == 403


def test_every_answer_has_the_security_headers(client: TestClient) -> None:
    for path in ("/", "/healthz", "/v1/clips/1/media", "/v1/clips/99", "/nowhere", "/page/app.js"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "same-origin"
        assert "server" not in headers


def test_a_key_in_a_header_counts_whatever_page_sends_it(locked: TestClient) -> None:
    foreign = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    body = {"query": "cat"}
    for headers in ({"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}):
        assert locked.post("/v1/search/clips", json=body, headers=foreign | headers).status_code == 200
    # The cookie is sent by browsers themselves, whoever asks them to.
    with TestClient(locked.app) as browser:
        browser.post("/v1/session", json={"key": KEY})
        assert browser.post("/v1/search/clips", json=body).status_code == 200
        assert browser.post("/v1/search/clips", json=body, headers=foreign).status_code == 403


def test_pages_of_named_origins_may_ask(built_world: World) -> None:
    settings = Settings(library=built_world.library, api_key=KEY, cors_origins=("https://app.example",))
    with TestClient(create_app(settings, FakeEncoder())) as client:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        for origin, allowed in (("https://app.example", True), ("https://other.example", False)):
            answer = client.options("/v1/search/clips", headers={"Origin": origin, **asked})
            assert (answer.headers.get("access-control-allow-origin") == origin) == allowed
        headers = {"Origin": "https://app.example", "X-API-Key": KEY}
        answer = client.get("/v1/clips/1/thumbnail", headers=headers)
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.fixture
def several(built_world: World, tmp_path: Path) -> Iterator[tuple[TestClient, Path]]:
    file = tmp_path / "keys"
    file.write_text(
        f"# who   role  key\nviewer  read  {KEY}-r\nfeeder  write {KEY}-w\nowner   admin {KEY}-a\n", encoding="utf-8"
    )
    settings = Settings(library=built_world.library, api_keys_file=file)
    with TestClient(create_app(settings, FakeEncoder())) as client:
        yield client, file


def test_a_key_may_do_what_its_role_says(several: tuple[TestClient, Path]) -> None:
    client, _ = several
    for key, statuses in (("r", (200, 403)), ("w", (200, 422)), ("a", (200, 422))):
        headers = {"X-API-Key": f"{KEY}-{key}"}
        asked = client.post("/v1/search/clips", json={"query": "a"}, headers=headers)
        changed = client.post("/v1/jobs", json={"folder": "none"}, headers=headers)
        assert (asked.status_code, changed.status_code) == statuses, key
    refused = client.post("/v1/jobs", json={"folder": "none"}, headers={"X-API-Key": f"{KEY}-r"})
    assert "has the role read, and this needs write" in refused.json()["detail"]


def test_keys_are_rotated_while_it_runs(several: tuple[TestClient, Path]) -> None:
    client, file = several
    client.post("/v1/session", json={"key": f"{KEY}-r"})
    assert client.get("/readyz").status_code == 200
    file.write_text(f"viewer read {KEY}-2\n", encoding="utf-8")
    assert client.get("/readyz").status_code == 401, "a session ends with its key"
    assert client.get("/readyz", headers={"X-API-Key": f"{KEY}-2"}).status_code == 200
    assert client.get("/readyz", headers={"X-API-Key": f"{KEY}-a"}).status_code == 401
    file.write_text("viewer none\n", encoding="utf-8")
    assert client.get("/readyz", headers={"X-API-Key": f"{KEY}-2"}).status_code == 200, "a broken file changes nothing"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("viewer read", "Line 1 of .* must have the form NAME ROLE KEY"),
        (f"viewer king {KEY}", "read, write, admin"),
        ("viewer read short", "at least 16"),
        (f"a read {KEY}\nb read {KEY}", "the same"),
        ("# nothing", "holds no API key"),
    ],
)
def test_a_file_of_keys_that_cannot_be_used_is_refused(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        settings_to_listen(Settings(api_keys_file=file, host="0.0.0.0"))


def test_guessing_keys_is_slowed_down(built_world: World) -> None:
    with TestClient(create_app(Settings(library=built_world.library, api_key=KEY), FakeEncoder())) as client:
        statuses = [client.post("/v1/session", json={"key": "wrong"}).status_code for _ in range(11)]
        assert statuses == [401] * 10 + [429]
        refused = client.post("/v1/session", json={"key": KEY})
        assert refused.status_code == 429 and 0 < int(refused.headers["retry-after"]) <= 60
        assert client.get("/readyz", headers={"X-API-Key": "wrong"}).status_code == 429
        assert client.get("/readyz", headers={"X-API-Key": KEY}).status_code == 200
