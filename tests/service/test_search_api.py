"""Both directions of search over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from model.levels import LEVEL_NAMES

if TYPE_CHECKING:
    from tests.service.conftest import World

TYPE = "application/problem+json"


def test_clips_for_a_sentence(client: TestClient) -> None:
    answer = client.post("/v1/search/clips", json={"query": "  a red square sliding ", "k": 3}).json()
    assert answer["query"] == "a red square sliding"
    assert answer["exact"] is True
    assert answer["model_fingerprint"] == "fake-0-16"
    assert answer["query_attributes"]["actions"] == ["sliding"]
    assert set(answer["took_ms"]) == {"encode", "search", "hydrate"}
    assert len(answer["hits"]) == 3
    scores = [hit["score"] for hit in answer["hits"]]
    assert scores == sorted(scores, reverse=True)
    for hit in answer["hits"]:
        assert tuple(hit["levels"]) == LEVEL_NAMES
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
    body = {"query": "a red square sliding", "weights": {"global": 0, "action": 3}}
    answer = client.post("/v1/search/clips", json=body).json()
    assert answer["weights"] == {"global": 0, "entity": 1, "action": 3, "relation": 1}
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
        answer = client.post("/v1/search/captions", files={"file": ("blue.mp4", file)}, data=form)
    assert answer.status_code == 200
    assert answer.json()["hits"] == expected["hits"]


def test_an_upload_leaves_nothing_behind(
    client: TestClient, built_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    good = (built_world.videos / "red.mp4").read_bytes()
    for content, status in ((good, 200), (b"no video", 422)):
        answer = client.post("/v1/search/captions", files={"file": ("x.mp4", content)})
        assert answer.status_code == status
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"query": ""}, "body.query"),
        ({"query": "   "}, "body.query"),
        ({"query": "x" * 1001}, "body.query"),
        ({}, "body.query"),
        ({"query": "a", "k": 0}, "body.k"),
        ({"query": "a", "k": 101}, "body.k"),
        ({"query": "a", "weights": {"action": -1}}, "body.weights.action"),
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
    ("weights", "said"),
    [({"colour": 1}, "Unknown level 'colour'"), (dict.fromkeys(LEVEL_NAMES, 0), "All four weights are 0")],
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
    answer = client.post("/v1/search/captions", files={"file": ("a.mp4", b"a")}, data=form)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_form_without_a_file(client: TestClient) -> None:
    answer = client.post("/v1/search/captions", files={"other": ("a.mp4", b"a")})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body.file"


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty-file"), (b"these are words\n" * 9, "not-a-video")])
def test_an_upload_that_is_no_video(client: TestClient, content: bytes, reason: str) -> None:
    answer = client.post("/v1/search/captions", files={"file": ("a.mp4", content)})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "/problems#unusable-video"
    assert problem["reason"] == reason
    assert "quartet-" not in problem["detail"]


def test_an_upload_over_the_limit(client: TestClient) -> None:
    declared = client.post("/v1/search/captions", files={"file": ("a.mp4", bytes(300_000))})
    pieces = (
        b"--b\r\n",
        b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n',
        *[bytes(9999)] * 40,
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    streamed = client.post("/v1/search/captions", content=iter(pieces), headers=headers)
    assert "content-length" not in streamed.request.headers
    for answer in (declared, streamed):
        assert answer.status_code == 413
        assert answer.json()["type"] == "/problems#too-large"
        assert "200000 bytes" in answer.json()["detail"]


def test_an_unknown_clip(client: TestClient) -> None:
    answer = client.post("/v1/search/captions", json={"clip_id": 4711})
    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no clip 4711 in this library."
