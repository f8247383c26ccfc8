"""Both directions of search over HTTP."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from model.levels import LEVEL_NAMES, WORDS

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
    assert empty.status_code == 422 and "must be before" in empty.json()["detail"]


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
