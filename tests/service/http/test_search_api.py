"""Both directions of search over HTTP."""

from __future__ import annotations

import errno
import json
import math
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from starlette.datastructures import UploadFile

from model.levels import LEVEL_NAMES, WORDS
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


def test_clips_for_a_sentence(client: TestClient) -> None:
    answer = client.post("/v1/search/clips", json={"query": "  a red square sliding ", "k": 3}).json()
    assert answer["query"] == "a red square sliding"
    assert answer["exact"] is True
    assert answer["model_fingerprint"] == "fake-0-16"
    assert answer["query_attributes"]["actions"] == ["sliding"]
    assert set(answer["took_ms"]) == {"queue", "encode", "search", "hydrate"}
    assert len(answer["hits"]) == 3
    scores = [hit["score"] for hit in answer["hits"]]
    assert scores == sorted(scores, reverse=True)
    for hit in answer["hits"]:
        assert tuple(hit["levels"]) == (*LEVEL_NAMES, WORDS)
        assert sum(level["contribution"] for level in hit["levels"].values()) == pytest.approx(hit["score"])
        assert hit["matched"] == {
            "entities": ["a"],
            "actions": ["sliding"],
            "relations": ["a red square sliding"],
        }
        assert client.get(hit["thumbnail_url"]).status_code == 200
        assert client.get(hit["media_url"]).status_code == 200
        assert 0 == hit["start"] < hit["end"]


def test_a_level_that_the_query_lacks_counts_for_nothing(client: TestClient) -> None:
    hit = client.post("/v1/search/clips", json={"query": "square", "k": 1}).json()["hits"][0]
    assert hit["levels"]["action"]["weight"] == 0
    assert hit["levels"]["action"]["contribution"] == 0
    assert hit["levels"]["entity"]["weight"] == 1


def test_weights_of_a_request(client: TestClient) -> None:
    body = {"query": "a red square sliding", "weights": {"global": 0, "action": 3, "words": 0}}
    answer = client.post("/v1/search/clips", json=body).json()
    assert answer["weights"] == {"global": 0, "entity": 1, "action": 3, "relation": 1, "words": 0}
    for hit in answer["hits"]:
        levels = hit["levels"]
        assert levels["global"]["contribution"] == 0
        assert levels["action"]["contribution"] == pytest.approx(3 / 5 * levels["action"]["activation"])


def test_captions_for_a_clip(client: TestClient, built_world: World) -> None:
    answer = client.post("/v1/search/captions", json={"clip_id": 1, "k": 4}).json()
    assert len(answer["hits"]) == 4
    for hit in answer["hits"]:
        assert hit["text"] in built_world.texts.values()
        assert hit["matched"]["actions"] == ["sliding"]
        assert sum(level["contribution"] for level in hit["levels"].values()) == pytest.approx(hit["score"])


def test_an_uploaded_clip_is_described_as_the_stored_one(client: TestClient, built_world: World) -> None:
    clips = (client.get(f"/v1/clips/{clip_id}").json() for clip_id in range(1, 6))
    stored = next(clip for clip in clips if clip["title"] == "blue")
    expected = client.post("/v1/search/captions", json={"clip_id": stored["clip_id"]}).json()
    with (built_world.videos / "blue.mp4").open("rb") as file:
        form = {"k": "10", "weights": json.dumps({"action": 1})}
        answer = client.post("/v1/search/captions/upload", files={"file": ("blue.mp4", file)}, data=form)
    assert answer.status_code == 200
    assert answer.json()["hits"] == expected["hits"]


def test_an_upload_leaves_nothing_behind(
    client: TestClient, built_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    good = (built_world.videos / "red.mp4").read_bytes()
    for content, status in ((good, 200), (b"no video", 422)):
        answer = client.post("/v1/search/captions/upload", files={"file": ("x.mp4", content)})
        assert answer.status_code == status
        assert list(tmp_path.iterdir()) == []


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
    ("form", "field"),
    [
        ({"k": "0"}, "body.k"),
        ({"k": "many"}, "body.k"),
        ({"weights": "action=2"}, "body.weights"),
        ({"weights": "[1]"}, "body.weights"),
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


def test_several_sentences_get_an_answer_each(client: TestClient, built_world: World) -> None:
    texts = [*built_world.texts.values(), "a red square sliding", "a red square sliding"]
    together = client.post("/v1/search/clips/batch", json={"queries": texts, "k": 3}).json()["answers"]
    alone = [client.post("/v1/search/clips", json={"query": text, "k": 3}).json() for text in texts]
    assert [answer["query"] for answer in together] == texts
    assert [answer["hits"] for answer in together] == [answer["hits"] for answer in alone]


def test_pages_of_hits_are_the_whole_list(client: TestClient) -> None:
    body = {"query": "a red square sliding"}
    whole = client.post("/v1/search/clips", json=body).json()["hits"]
    parts = [client.post("/v1/search/clips", json={**body, "k": 2, "offset": i}).json()["hits"] for i in (0, 2, 4, 6)]
    assert [len(part) for part in parts] == [2, 2, 1, 0]
    assert [hit for part in parts for hit in part] == whole


def test_hits_below_the_least_score_are_left_out(client: TestClient) -> None:
    body = {"query": "a red square sliding"}
    whole = client.post("/v1/search/clips", json=body).json()["hits"]
    least = whole[2]["score"]
    assert client.post("/v1/search/clips", json={**body, "min_score": least}).json()["hits"] == whole[:3]
    assert client.post("/v1/search/clips", json={**body, "min_score": 2}).json()["hits"] == []


def test_a_filter_by_video_and_by_time(client: TestClient) -> None:
    body = {"query": "a red square sliding"}
    whole = client.post("/v1/search/clips", json=body).json()["hits"]
    videos = [whole[1]["video_id"], whole[3]["video_id"]]
    filtered = client.post("/v1/search/clips", json={**body, "filter": {"video_ids": videos}}).json()
    assert filtered["hits"] == [whole[1], whole[3]] and filtered["exact"]
    assert client.post("/v1/search/clips", json={**body, "filter": {"start": 60}}).json()["hits"] == []
    assert len(client.post("/v1/search/clips", json={**body, "filter": {"end": 0.5}}).json()["hits"]) == 5
    empty = client.post("/v1/search/clips", json={**body, "filter": {"start": 2, "end": 1}})
    assert empty.status_code == 422 and "is empty" in empty.json()["detail"]


def test_an_explained_answer_adds_up(client: TestClient) -> None:
    body = {"query": "a red square sliding", "weights": {"action": 2}}
    assert client.post("/v1/search/clips", json=body).json()["explanation"] is None
    answer = client.post("/v1/search/clips", json={**body, "explain": True}).json()
    explained = answer["explanation"]
    assert explained["candidates"] == 5 and explained["certified"] and explained["bound"] is None
    assert {name: level["weight"] for name, level in explained["levels"].items()} == answer["weights"]
    top = answer["hits"][0]["levels"]["global"]
    how = explained["levels"]["global"]
    assert how["activation"] == "sigmoid"
    assert top["activation"] == pytest.approx(1 / (1 + math.exp(-(how["scale"] * top["raw"] + how["bias"]))))


def test_clips_like_a_clip(client: TestClient) -> None:
    answer = client.post("/v1/search/similar", json={"clip_id": 2, "k": 10}).json()
    assert answer["clip_id"] == 2
    assert sorted(hit["clip_id"] for hit in answer["hits"]) == [1, 3, 4, 5]
    back = client.post("/v1/search/similar", json={"clip_id": 1, "k": 10}).json()
    score = {hit["clip_id"]: hit["score"] for hit in answer["hits"]}
    assert next(hit["score"] for hit in back["hits"] if hit["clip_id"] == 2) == pytest.approx(score[1])
    second = client.post("/v1/search/similar", json={"clip_id": 2, "k": 1, "offset": 1}).json()
    assert second["hits"] == answer["hits"][1:2]
    assert answer["hits"][0]["matched"]["actions"] == ["sliding"]
    assert client.post("/v1/search/similar", json={"clip_id": 99}).status_code == 404


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


def test_a_search_is_an_address_too(client: TestClient) -> None:
    body = {"query": "a red square sliding", "k": 2, "weights": {"action": 2}}
    posted = client.post("/v1/search/clips", json=body).json()
    got = client.get("/v1/search/clips", params={"q": "a red square sliding", "k": 2, "weights": "action=2"}).json()
    assert got["hits"] == posted["hits"] and got["weights"] == posted["weights"]
    assert client.get("/v1/search/clips", params={"q": "a", "tag": "none"}).json()["hits"] == []
    for params, said in (
        ({}, "q is missing"),
        ({"q": " "}, "more than spaces"),
        ({"q": "a", "weights": "b"}, "LEVEL=NUMBER"),
    ):
        answer = client.get("/v1/search/clips", params=params)
        assert answer.status_code == 422 and said in answer.json()["detail"], answer.text


def test_messages_say_what_to_send(client: TestClient) -> None:
    for body, said in (
        ({"query": "a", "k": 101}, "k must be at most 100."),
        ({"query": "a", "k": "many"}, "k must be a whole number."),
        ({"query": "a", "colour": 1}, "colour is not a field of this request."),
        ({"query": "a", "filter": {"video_ids": ["x"]}}, "filter.video_ids.0 must be a whole number."),
        ({"query": ["a", "b"]}, "Send several as `queries` to /v1/search/clips/batch."),
    ):
        assert said in client.post("/v1/search/clips", json=body).json()["detail"]
