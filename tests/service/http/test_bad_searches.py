"""Requests for a search that cannot be answered: each gets a problem that says what to send."""

from __future__ import annotations

import errno
import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from starlette.datastructures import UploadFile

from model.levels import LEVEL_NAMES
from quartet.errors import InputError
from service.http.app import create_app
from service.search.engine import Engine
from service.search.requests import Question, Questions, SearchOptions
from service.search.served_model import Asked
from service.settings import Settings
from tests.service.made_encoders import HeldEncoder

if TYPE_CHECKING:
    from tests.service.conftest import World

TYPE = "application/problem+json"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"query": ""}, "body.query"),
        ({"query": "   "}, "body.query"),
        ({"query": "x" * 1001}, "body.query"),
        ({}, "body"),
        ({"query": ["a"]}, "body.query"),
        ({"query": "a", "k": 0}, "body.k"),
        ({"query": "a", "offset": -1}, "body.offset"),
        ({"query": "a", "offset": 10_001}, "body.offset"),
        ({"query": "a", "filter": {"video_ids": [0]}}, "body.filter.video_ids.0"),
        ({"query": "a", "filter": {"colour": "red"}}, "body.filter.colour"),
        ({"query": "a", "k": 101}, "body.k"),
        ({"query": "a", "weights": {"action": -1}}, "body.weights.action"),
        ({"query": "a", "weights": {"action": 1e38}}, "body.weights.action"),
        ({"query": "a", "weights": {"action": 1e-9}}, "body.weights.action"),
        ({"query": "a", "colour": "red"}, "body.colour"),
    ],
)
def test_an_invalid_request_names_its_field(client: TestClient, body: dict[str, object], field: str) -> None:
    answer = client.post("/v1/search/clips", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == TYPE
    problem = answer.json()
    assert problem["type"] == "/problems#invalid-request"
    assert problem["instance"] == "/v1/search/clips"
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        ("{query: 1}", "application/json", "The body is not valid JSON: .*, at character 1"),
        ('["a"]', "application/json", "must be a JSON object"),
        ("", "application/json", "must be a JSON object"),
    ],
)
def test_a_body_that_is_no_json_object_is_told_so(client: TestClient, content: str, kind: str, said: str) -> None:
    answer = client.post("/v1/search/clips", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "body" and re.search(said, error["detail"])


@pytest.mark.parametrize(
    ("weights", "said"),
    [({"colour": 1}, "Unknown level 'colour'"), (dict.fromkeys(LEVEL_NAMES, 0), "All weights are 0")],
)
def test_weights_that_make_no_score(client: TestClient, weights: dict[str, float], said: str) -> None:
    answer = client.post("/v1/search/clips", json={"query": "a", "weights": weights})
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems#unusable-input"
    assert said in answer.json()["detail"]


def test_only_weights_for_levels_that_the_query_lacks(client: TestClient) -> None:
    weights = {"global": 0, "entity": 0, "relation": 0}
    answer = client.post("/v1/search/clips", json={"query": "square", "weights": weights})
    assert answer.status_code == 422
    assert "action" in answer.json()["detail"]


def test_a_body_that_is_no_json(client: TestClient) -> None:
    for path in ("/v1/search/clips", "/v1/search/captions"):
        answer = client.post(path, content=b"{", headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
        assert answer.headers["content-type"] == TYPE


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"query": "café"}'.encode("latin-1"), "it is not UTF-8 text"),
        (b'{"query": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"query": "a", "k": ' + b"9" * 5_000 + b"}", "a number in it has too many digits"),
    ],
)
def test_a_body_that_cannot_be_read_as_json_is_told_why(client: TestClient, content: bytes, why: str) -> None:
    answer = client.post("/v1/search/clips", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert why in answer.json()["detail"]


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"k": "0"}, "body.k"),
        ({"k": "many"}, "body.k"),
        ({"weights": "action=2"}, "body.weights"),
        ({"weights": "[1]"}, "body.weights"),
        ({"weights": "[" * 100_000}, "body.weights"),
        ({"clip": "1"}, "body.clip"),
    ],
)
def test_invalid_fields_beside_an_upload(client: TestClient, form: dict[str, str], field: str) -> None:
    answer = client.post("/v1/search/captions/upload", files={"file": ("a.mp4", b"a")}, data=form)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EIO, 500)])
def test_a_disk_that_does_not_take_an_upload(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    async def fails(upload: UploadFile, data: bytes) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(UploadFile, "write", fails)
    careful = TestClient(client.app, raise_server_exceptions=False)
    answer = careful.post("/v1/search/captions/upload", files={"file": ("a.mp4", b"a")})
    assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json"
    assert ("No space left" in answer.json()["detail"]) == (status == 507)


def test_a_form_without_a_file(client: TestClient) -> None:
    answer = client.post("/v1/search/captions/upload", files={"other": ("a.mp4", b"a")})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body.file"


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty-file"), (b"these are words\n" * 9, "not-a-video")])
def test_an_upload_that_is_no_video(client: TestClient, content: bytes, reason: str) -> None:
    answer = client.post("/v1/search/captions/upload", files={"file": ("a.mp4", content)})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "/problems#unusable-video"
    assert problem["reason"] == reason
    assert "quartet-" not in problem["detail"]


def test_an_upload_over_the_limit(client: TestClient) -> None:
    declared = client.post("/v1/search/captions/upload", files={"file": ("a.mp4", bytes(300_000))})
    pieces = (
        b"--b\r\n",
        b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n',
        *[bytes(9999)] * 40,
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    streamed = client.post("/v1/search/captions/upload", content=iter(pieces), headers=headers)
    assert "content-length" not in streamed.request.headers
    for answer in (declared, streamed):
        assert answer.status_code == 413
        assert answer.json()["type"] == "/problems#too-large"
        assert "200,000 bytes" in answer.json()["detail"]


def test_an_unknown_clip(client: TestClient) -> None:
    answer = client.post("/v1/search/captions", json={"clip_id": 4711})
    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no clip 4711 in this library."


def test_one_bad_request_of_a_batch_fails_alone(built_world: World) -> None:
    """Two requests share a batch; the weights leave nothing of the sentence of one of them."""
    encoder = HeldEncoder()
    settings = Settings(library=built_world.library, workers=1)
    weights = {"global": 0, "entity": 0, "relation": 0}
    engine = Engine.open(settings, encoder)
    with TestClient(create_app(settings, engine=engine)) as client, ThreadPoolExecutor() as pool:
        held = pool.submit(client.post, "/v1/search/clips", json={"query": "first"})
        assert encoder.entered.wait(10)
        options = SearchOptions(weights=weights)
        good = engine._pool.submit(
            "questions", Asked(engine.live.model, Questions((Question.of("a cat sliding"),), options))
        )
        bad = engine._pool.submit("questions", Asked(engine.live.model, Questions((Question.of("cat"),), options)))
        encoder.released.set()
        assert held.result(10).status_code == 200
        assert good.result(10)[0].hits
        with pytest.raises(InputError, match="action"):
            bad.result(10)
    engine.close()


@pytest.mark.parametrize(
    ("queries", "said"),
    [
        ([], "Give 1 to 64"),
        (["a"] * 65, "Give 1 to 64"),
        (["a", " "], "The query is empty"),
        (["x" * 1000] * 17, "17,000 characters together. Give at most 16,000"),
        ("a", "queries must be a list"),
    ],
)
def test_a_list_that_cannot_be_asked_is_told_so(client: TestClient, queries: object, said: str) -> None:
    answer = client.post("/v1/search/clips/batch", json={"queries": queries})
    assert answer.status_code == 422 and said in answer.json()["detail"]
    assert answer.json()["errors"][0]["field"] == "body.queries"


@pytest.mark.parametrize(
    ("path", "sent", "said"),
    [
        ("/v1/search/clips", {"data": {"query": "a"}}, "Send a JSON object"),
        ("/v1/search/captions", {"files": {"file": ("a.mp4", b"a")}}, "Send files to /v1/search/captions/upload"),
        ("/v1/jobs", {"files": {"file": ("a.mp4", b"a")}}, "Send files to /v1/jobs/upload"),
        ("/v1/search/captions/upload", {"json": {"clip_id": 1}}, "Send files as a form"),
        ("/v1/jobs/upload", {"content": b"x"}, "Send files as a form"),
    ],
)
def test_a_body_of_another_type_is_told_so(client: TestClient, path: str, sent: dict[str, Any], said: str) -> None:
    answer = client.post(path, **sent)
    assert answer.status_code == 415 and answer.json()["type"] == "/problems#unsupported-media-type"
    assert said in answer.json()["detail"]


def test_messages_say_what_to_send(client: TestClient) -> None:
    for body, said in (
        ({"query": "a", "k": 101}, "k must be at most 100."),
        ({"query": "a", "k": "many"}, "k must be a whole number."),
        ({"query": "a", "colour": 1}, "colour is not a field of this request."),
        ({"query": "a", "filter": {"video_ids": ["x"]}}, "filter.video_ids.0 must be a whole number."),
        ({"query": ["a", "b"]}, "Send several as `queries` to /v1/search/clips/batch."),
    ):
        assert said in client.post("/v1/search/clips", json=body).json()["detail"]
    assert client.get("/v1/search/clips?q=").json()["detail"] == "q must not be empty."
