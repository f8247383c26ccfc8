"""HTTP as clients and caches expect it: HEAD, entity tags, compression, static files, a proxy in front."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from fastapi.testclient import TestClient

from model.fake_encoder import FakeEncoder
from service.http.app import create_app
from service.settings import Settings
from tests.service.running import running

if TYPE_CHECKING:
    from tests.service.conftest import World


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/healthz",
        "/readyz",
        "/v1/library",
        "/v1/clips",
        "/v1/clips/1/thumbnail",
        "/v1/clips/1/media",
        "/page/app.js",
    ],
)
def test_head_has_the_headers_of_get_and_no_body(client: TestClient, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert got.status_code == head.status_code == 200
    assert head.content == b"" and got.content != b""
    same = set(got.headers) - {"x-request-id", "date"}
    assert {name: head.headers[name] for name in same} == {name: got.headers[name] for name in same}
    assert client.head("/v1/clips/99").status_code == 404
    assert client.head("/v1/jobs/x/cancel").status_code == 405


def test_json_that_is_known_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/v1/clips")
    again = client.get("/v1/clips", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and again.content == b"" and again.headers["etag"] == first.headers["etag"]
    other = client.get("/v1/clips?limit=1", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200
    assert "etag" not in client.get("/v1/clips/99").headers


def test_long_json_is_compressed_for_who_takes_it(client: TestClient) -> None:
    body = {"query": "a red square sliding"}
    plain = client.post("/v1/search/clips", json=body, headers={"Accept-Encoding": "identity"})
    packed = client.post("/v1/search/clips", json=body, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers and packed.headers["content-encoding"] == "gzip"
    assert packed.json()["hits"] == plain.json()["hits"]
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    picture = client.get("/v1/clips/1/thumbnail", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in picture.headers


def test_files_of_the_page_are_kept_by_browsers_until_one_changes(client: TestClient) -> None:
    page = client.get("/").text
    named = re.findall(r'(?:src|href)="(page/[^"]+)"', page)
    assert len(named) == 3
    for path in named:
        answer = client.get(f"/{path}")
        assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]
    app = client.get(f"/{next(path for path in named if path.endswith('app.js'))}")
    assert app.headers["content-encoding"] == "gzip"
    undated = client.get("/page/app.js")
    assert undated.headers["cache-control"] == "no-cache"
    assert client.get("/page/app.js", headers={"If-None-Match": undated.headers["etag"]}).status_code == 304
    assert client.get("/page/0123456789abcdef/app.js").status_code == 404


@pytest.mark.parametrize("path", ["/quartet/v1/clips/1", "/v1/clips/1"])
def test_a_proxy_may_take_its_prefix_off_or_not(built_world: World, path: str) -> None:
    with TestClient(create_app(Settings(library=built_world.library, base_path="/quartet"), FakeEncoder())) as client:
        assert client.get(path).status_code == 200
        assert client.get(f"{path}99").json()["type"] == "/quartet/problems#not-found"
        assert client.get("/quartet", follow_redirects=False).headers["location"] == "/quartet/"


NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen unix:{folder}/socket;
    proxy_max_temp_file_size 0;
    location /quartet/ {{ proxy_pass http://127.0.0.1:{port}/; proxy_set_header Host $http_host; }}
  }}
}}
"""


@pytest.mark.skipif(shutil.which("nginx") is None, reason="There is no nginx on this machine.")
def test_the_page_works_behind_a_proxy_that_takes_its_path_off(built_world: World, tmp_path: Path) -> None:
    """Every address that the page and its modules name leads somewhere below the path of the proxy."""
    with running(Settings(library=built_world.library), FakeEncoder()) as service:
        config = tmp_path / "nginx.conf"
        config.write_text(NGINX.format(folder=tmp_path, port=service.port), encoding="utf-8")
        process = subprocess.Popen(["nginx", "-c", config, "-e", tmp_path / "error.log"])
        try:
            end = time.monotonic() + 20
            while not (tmp_path / "socket").exists() and time.monotonic() < end:
                pass
            transport = httpx2.HTTPTransport(uds=str(tmp_path / "socket"))
            with httpx2.Client(transport=transport, base_url="http://site.example") as client:
                page = client.get("/quartet/")
                assert page.status_code == 200
                named = re.findall(r'(?:src|href)="(?!data:)([^"#?]+)"', page.text)
                assert len(named) > 3
                for address in named:
                    assert client.get(str(page.url.join(address))).status_code == 200, address
                docs = client.get("/quartet/docs")
                for address in re.findall(r'(?:src|href)="(?!data:)([^"]+)"', docs.text):
                    assert client.get(str(docs.url.join(address))).status_code == 200, address
                assert client.post("/quartet/v1/search/clips", json={"query": "a"}).status_code == 200
                own = {"Origin": "http://site.example"}
                assert client.post("/quartet/v1/search/clips", json={"query": "a"}, headers=own).status_code == 200
        finally:
            process.terminate()
            process.wait()
