"""The application around the routes: start, readiness, swapping, refusals, headers, what people see."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from indexer.store.library import Library
from model.encoder import TextBatch
from model.fake_encoder import FakeEncoder
from quartet.errors import FingerprintError, LibraryError
from service.http.app import create_app
from service.http.openapi_file import document
from service.problems import KINDS
from service.search.engine import Engine
from service.search.requests import Question, Questions, SearchOptions
from service.settings import Settings
from tests.service.made_encoders import DyingEncoder, HeldEncoder

if TYPE_CHECKING:
    from tests.service.conftest import World

DOCS = Path(__file__).parents[3] / "docs"
SECONDS = 10  # a bound on what would otherwise hang, never reached


class BrokenEncoder(FakeEncoder):
    """Has a bug."""

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        raise ZeroDivisionError("secret detail")


def test_health_and_readiness(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert ready["device"] == "cpu"
    assert ready["model"]["fingerprint"] == "fake-0-16"
    assert ready["library"] == {"videos": 5, "clips": 5, "captions": 5, "failures": 2}


def test_before_the_start_only_the_process_is_healthy(built_world: World) -> None:
    client = TestClient(create_app(Settings(library=built_world.library), FakeEncoder()))  # no lifespan
    assert client.get("/healthz").status_code == 200
    for answer in (client.get("/readyz"), client.post("/v1/search/clips", json={"query": "a"})):
        assert answer.status_code == 503
        assert answer.json()["type"] == "/problems#not-ready"


def test_what_there_is_to_search(client: TestClient, built_world: World) -> None:
    library = client.get("/v1/library").json()
    assert [level["name"] for level in library["levels"]] == ["global", "entity", "action", "relation", "words"]
    assert sorted(library["examples"]) == sorted(built_world.texts.values())


def test_a_library_of_another_model_is_refused_at_the_start(built_world: World) -> None:
    app = create_app(Settings(library=built_world.library), FakeEncoder(seed=1))
    with pytest.raises(FingerprintError, match=r"fake-0-16.*fake-1-16"), TestClient(app):
        pass


def test_a_library_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    for settings in (Settings(library=tmp_path / "none"), Settings(library=None)):
        with pytest.raises(LibraryError), TestClient(create_app(settings, FakeEncoder())):
            pass


def test_an_empty_library_has_no_hits(built_world: World, tmp_path: Path) -> None:
    Library.create(tmp_path / "empty", FakeEncoder().spec).close()
    video = (built_world.videos / "red.mp4").read_bytes()
    with TestClient(create_app(Settings(library=tmp_path / "empty"), FakeEncoder())) as client:
        clips = client.post("/v1/search/clips", json={"query": "a"})
        captions = client.post("/v1/search/captions/upload", files={"file": ("red.mp4", video)})
        assert client.get("/v1/library").json()["examples"] == []
    for answer in (clips, captions):
        assert answer.status_code == 200
        assert answer.json()["hits"] == []


def test_a_full_queue_answers_429(built_world: World) -> None:
    encoder = HeldEncoder()
    settings = Settings(library=built_world.library, workers=1, queue_size=1, retry_after=1.5)
    engine = Engine.open(settings, encoder)
    # A request that fills the line is put there by hand: requests would race for the place.
    with TestClient(create_app(settings, engine=engine)) as client, ThreadPoolExecutor() as pool:
        held = pool.submit(client.post, "/v1/search/clips", json={"query": "a"})
        assert encoder.entered.wait(SECONDS)
        engine._pool.submit("questions", Questions((Question.of("b"),), SearchOptions()), client="@testclient")
        refused = client.post("/v1/search/clips", json={"query": "c"})
        encoder.released.set()
        assert held.result(SECONDS).status_code == 200
    engine.close()
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "2"
    assert refused.json()["type"] == "/problems#busy"


def test_a_crashed_worker_fails_its_callers_and_is_replaced(built_world: World) -> None:
    encoder = DyingEncoder()
    with TestClient(create_app(Settings(library=built_world.library, workers=1), encoder)) as client:
        answer = client.post("/v1/search/clips", json={"query": "a"})
        assert answer.status_code == 503
        assert "crashed with SystemExit" in answer.json()["detail"]
        assert client.get("/readyz").status_code == 200
        assert client.post("/v1/search/clips", json={"query": "a"}).status_code == 200
        assert 'quartet_worker_restarts_total{library="default"} 1.0' in client.get("/metrics").text


def test_a_bug_answers_500_without_its_details(built_world: World) -> None:
    app = create_app(Settings(library=built_world.library), BrokenEncoder())
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.post("/v1/search/clips", json={"query": "a"}, headers={"X-Request-ID": "abc-1"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "abc-1"
    assert "secret" not in answer.text


def test_request_ids(client: TestClient) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "from-proxy.7"}).headers["x-request-id"] == "from-proxy.7"
    first, second = (client.get("/healthz").headers["x-request-id"] for _ in range(2))
    assert first != second
    assert client.get("/healthz", headers={"X-Request-ID": "a b\t"}).headers["x-request-id"] != "a b"
    problem = client.get("/v1/clips/99")
    assert problem.json()["request_id"] == problem.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/v1/search/clips/batch", 405)]
)
def test_errors_of_the_framework_are_problems_too(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "about:blank"


def test_nothing_is_loaded_from_elsewhere(client: TestClient) -> None:
    for path in ("/", "/docs", "/problems"):
        answer = client.get(path)
        assert answer.headers["content-type"].startswith("text/html")
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        text = answer.text.replace("http://www.w3.org/2000/svg", "")  # the name of a format, in the icon
        assert "http://" not in text and "https://" not in text
    assert "unsafe" not in client.get("/").headers["content-security-policy"]
    for asset in ("/swagger/swagger-ui-bundle.js", "/page/app.js"):
        assert client.get(asset).headers["cache-control"] == "no-cache"
    assert client.get("/page/../settings.py").status_code == 404


def test_every_kind_of_problem_is_explained(client: TestClient) -> None:
    page = client.get("/problems").text
    for kind in KINDS:
        assert f'id="{kind.slug}"' in page


def test_the_committed_description_is_that_of_the_code() -> None:
    committed = (DOCS / "openapi.json").read_text(encoding="utf-8")
    assert committed == document(), "Run: python -m service.http.openapi_file docs/openapi.json"


def test_the_reference_names_every_route_problem_and_setting(client: TestClient) -> None:
    reference = (DOCS / "api.md").read_text(encoding="utf-8")
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in reference
    for kind in KINDS:
        assert f"| `{kind.slug}` | {kind.status} |" in reference


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUARTET_LIBRARY", "/data/library")
    monkeypatch.setenv("QUARTET_BATCH_SIZE", "8")
    assert Settings().library == Path("/data/library")
    assert Settings().batch_size == 8
    assert Settings(batch_size=4).batch_size == 4


def test_an_engine_that_serves_compiles_scans_that_are_worth_it(
    built_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Future[None]] = []

    @cache
    def compilation() -> Future[None]:
        begun.append(Future())
        begun[-1].set_result(None)
        return begun[-1]

    monkeypatch.setattr("indexer.search.exact.code_scan._compilation", compilation)
    settings = Settings(library=built_world.library)
    with closing(Engine.open(settings, FakeEncoder()).prepare()):
        assert not begun
    monkeypatch.setattr("indexer.search.exact.code_scan._MIN_ROWS_COMPILED", 3)
    with closing(Engine.open(settings, FakeEncoder()).prepare()):
        assert begun
