"""Running it: the log, the counts, the settings' reference, an end that drops nothing, clients that go away."""

from __future__ import annotations

import json
import logging
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from model.fake_encoder import FakeEncoder
from quartet.client import Client
from service.http.app import create_app
from service.observe.logs import REQUEST_ID, JsonLines, Lines
from service.settings import Settings
from tests.service.made_encoders import SECONDS, HeldEncoder
from tests.service.running import running

if TYPE_CHECKING:
    from tests.service.conftest import World

SETTINGS = (Path(__file__).parents[3] / "docs" / "settings.md").read_text(encoding="utf-8")


def test_every_setting_is_documented_as_it_is() -> None:
    rows = dict(re.findall(r"^\| `QUARTET_(\w+)` \| (.*) \|$", SETTINGS, flags=re.MULTILINE))
    assert list(rows) == [name.upper() for name in Settings.model_fields]
    for name, field in Settings.model_fields.items():
        default, described = rows[name.upper()].split(" | ", 1)
        value = field.default
        shown = "none" if value is None or value in ({}, (), "") else f"`{value}`"
        assert (default, described) == (shown, field.description), name


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUARTET_JOB_FOLDERS", "films=/media/films, talks=/media/talks")
    monkeypatch.setenv("QUARTET_ALLOWED_HOSTS", "a.example, b.example")
    monkeypatch.setenv("QUARTET_API_KEY", "a-key-of-some-length")
    settings = Settings()
    assert settings.job_folders == {"films": Path("/media/films"), "talks": Path("/media/talks")}
    assert settings.allowed_hosts == ("a.example", "b.example")
    assert settings.key() == "a-key-of-some-length"


def test_the_counts_follow_the_requests(built_world: World) -> None:
    with TestClient(create_app(Settings(library=built_world.library), FakeEncoder())) as client:
        for _ in range(2):
            client.post("/v1/search/clips", json={"query": "a red square"})
        client.get("/v1/clips/1")
        client.get("/v1/clips/2")
        client.get("/v1/clips/99")
        client.get("/nowhere/else")
        text = client.get("/metrics").text
    for line in (
        'quartet_requests_total{library="default",method="POST",route="/v1/search/clips",status="200"} 2.0',
        'quartet_requests_total{library="default",method="GET",route="/v1/clips/{clip_id}",status="200"} 2.0',
        'quartet_requests_total{library="default",method="GET",route="/v1/clips/{clip_id}",status="404"} 1.0',
        'quartet_requests_total{library="default",method="GET",route="other",status="404"} 1.0',
        'quartet_stage_seconds_count{library="default",stage="search"} 2.0',
        'quartet_batch_size_sum{kind="questions",library="default"} 2.0',
        'quartet_query_cache_hits_total{library="default"} 1.0',
        'quartet_query_cache_misses_total{library="default"} 1.0',
        'quartet_queue_depth{library="default"} 0.0',
        'quartet_index_items{gallery="clips",library="default"} 5.0',
        'quartet_index_items{gallery="captions",library="default"} 5.0',
        'quartet_worker_restarts_total{library="default"} 0.0',
    ):
        assert line in text, line
    assert "quartet_generation_age_seconds" in text


def test_readiness_says_what_is_served(client: TestClient, built_world: World) -> None:
    ready = client.get("/readyz").json()
    assert ready["library_path"] == str(built_world.library.resolve())
    assert (ready["device"], ready["generation"], ready["model"]["name"]) == ("cpu", "000003", "fake-0")


def test_a_line_of_the_log_has_the_id_of_its_request(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "service.http.access")
    client.get("/v1/clips/1", headers={"X-Request-ID": "abc-1"})
    client.get("/healthz")
    lines = [record for record in caplog.records if record.name == "service.http.access"]
    assert len(lines) == 1, "machines that ask for the health every few seconds fill no log"
    REQUEST_ID.set("abc-1")
    line = json.loads(JsonLines().format(lines[0]))
    REQUEST_ID.set(None)
    assert (line["request_id"], line["method"], line["path"], line["status"]) == ("abc-1", "GET", "/v1/clips/1", 200)
    assert line["ms"] >= 0 and line["time"].endswith("+00:00") and line["level"] == "info"


def test_what_a_client_sends_makes_no_lines_of_its_own() -> None:
    record = logging.LogRecord("a", logging.INFO, "", 0, "asked for %s", ("x\n12:00:00 info forged",), None)
    assert len(Lines().format(record).splitlines()) == 1
    assert len(JsonLines().format(record).splitlines()) == 1
    try:
        raise ValueError("inside")
    except ValueError:
        failed = logging.LogRecord("a", logging.ERROR, "", 0, "failed", (), sys.exc_info())
    assert "ValueError: inside" in json.loads(JsonLines().format(failed))["error"]


def test_an_end_lets_requests_finish(built_world: World) -> None:
    encoder = HeldEncoder()
    with running(Settings(library=built_world.library), encoder) as service, ThreadPoolExecutor() as pool:
        with Client(service.url) as client:
            held = pool.submit(client.search, "a red square sliding")
            assert encoder.entered.wait(SECONDS)
            service.server.should_exit = True
            while service.server.started and service.server.servers and service.server.servers[0].is_serving():
                pass
            encoder.released.set()
            assert len(held.result(SECONDS).hits) == 5
        service.thread.join(SECONDS)
        assert not service.thread.is_alive()


def test_the_work_of_a_client_that_has_gone_is_dropped(built_world: World) -> None:
    encoder = HeldEncoder()
    settings = Settings(library=built_world.library, workers=1, query_cache=0)
    with running(settings, encoder) as service, ThreadPoolExecutor() as pool, Client(service.url) as client:
        held = pool.submit(client.search, "first")
        assert encoder.entered.wait(SECONDS)
        gone = service.connect()
        body = b'{"query": "of a client that has gone"}'
        head = ["POST /v1/search/clips HTTP/1.1", "Host: a", "Content-Type: application/json"]
        gone.sendall("\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body)
        while service.engine.waiting == 0:
            pass
        gone.close()
        while service.engine.waiting:
            pass
        encoder.released.set()
        held.result(SECONDS)
        client.search("last")
    assert encoder.asked == ["first", "last"]
