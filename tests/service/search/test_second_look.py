"""`rerank`: over HTTP, by the client and on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from indexer.ingest.index_run import index_videos
from indexer.search.second_look import best_windows
from indexer.store.library import Library
from indexer.texts.captions import add_captions
from model.fake_encoder import FakeEncoder
from model.levels import WORDS
from quartet.client import Client
from service.cli import app
from service.http.app import create_app
from service.settings import Settings
from tests.service.running import running

if TYPE_CHECKING:
    from tests.service.conftest import World

QUERY = "a red square sliding past a wall"


@pytest.fixture(scope="module")
def with_frames(built_world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The videos of the shared library in one that keeps frames, without captions."""
    world = replace(built_world, library=tmp_path_factory.mktemp("frames") / "library")
    index_videos(world.library, [world.videos], FakeEncoder(frames=True), frame_vectors=True)
    return world


@pytest.fixture(scope="module")
def reranking(with_frames: World) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(library=with_frames.library), FakeEncoder(frames=True))) as client:
        yield client


def ask(client: TestClient, **body: Any) -> dict[str, Any]:
    response = client.post("/v1/search/clips", json={"query": QUERY, **body})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def without_phrases(client: TestClient, weight: float) -> dict[str, list[float]]:
    """The scores of a question, of which no level has a phrase to compare, with and without a second look."""
    body = {"query": QUERY, "k": 5, "weights": {"entity": 0, "action": 0, WORDS: weight}}
    found = {}
    for name, rerank in (("first", False), ("rerank", True)):
        answer = client.post("/v1/search/clips", json={**body, "rerank": rerank}).json()
        found[name] = [hit["score"] for hit in answer["hits"]]
    return found


def by_frames(library: Path) -> dict[int, dict[str, float]]:
    """Of every clip the inner products of the levels that are looked at again."""
    encoder = FakeEncoder(frames=True)
    kept, (phrases,) = encoder.spec.frames, encoder.encode_texts([QUERY]).phrases
    assert kept is not None
    with Library.open(library) as opened:
        clips = opened.current().clips
        frames = clips.frame_rows(clips.positions(clips.ids)).astype(np.float64)
    lengths = frames.any(axis=2).sum(axis=1)
    found = {
        level: best_windows(
            (phrases[level] @ frames.transpose(0, 2, 1)).astype(np.float32), lengths, size, kept.best
        ).mean(axis=1)
        for level, size in kept.window.items()
    }
    return {int(item): {level: float(own[i]) for level, own in found.items()} for i, item in enumerate(clips.ids)}


def test_the_best_clips_are_scored_by_their_frames(with_frames: World, reranking: TestClient) -> None:
    before, after = ask(reranking, k=5, explain=True), ask(reranking, k=5, rerank=True, explain=True)
    assert before["reranked"] is None
    assert after["reranked"]["candidates"] == 5 and after["exact"]
    assert after["reranked"]["took_ms"] == after["explanation"]["search_ms"]["rerank"] > 0
    expected = by_frames(with_frames.library)
    known = {hit["clip_id"]: hit["levels"] for hit in before["hits"]}
    assert {hit["clip_id"] for hit in after["hits"]} == set(known)
    for hit in after["hits"]:
        raw = {level: own["raw"] for level, own in hit["levels"].items()}
        assert {level: raw[level] for level in ("entity", "action")} == pytest.approx(
            expected[hit["clip_id"]], abs=1e-5
        )
        for level in ("global", "relation"):
            assert raw[level] == known[hit["clip_id"]][level]["raw"]
        assert sum(own["contribution"] for own in hit["levels"].values()) == pytest.approx(hit["score"])
    scores = [hit["score"] for hit in after["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert [hit["clip_id"] for hit in after["hits"]] != [hit["clip_id"] for hit in before["hits"]]


def test_pages_limits_and_weights(reranking: TestClient) -> None:
    every = ask(reranking, k=5, rerank=True)["hits"]
    assert ask(reranking, k=2, offset=1, rerank=True)["hits"] == every[1:3]
    middle = every[2]["score"]
    assert ask(reranking, k=5, rerank=True, min_score=middle)["hits"] == every[:3]
    first = ask(reranking, k=5, weights={"global": 1, "entity": 0, "action": 0, "relation": 0})
    again = ask(reranking, k=5, rerank=True, weights={"global": 1, "entity": 0, "action": 0, "relation": 0})
    assert [hit["score"] for hit in again["hits"]] == [hit["score"] for hit in first["hits"]]


def test_only_candidates_are_looked_at(reranking: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.search.ranking.batch_ranking.MAX_RERANKED", 2)
    best = {hit["clip_id"] for hit in ask(reranking, k=2)["hits"]}
    answer = ask(reranking, k=5, rerank=True)
    assert answer["reranked"]["candidates"] == 2
    assert {hit["clip_id"] for hit in answer["hits"]} == best


def test_get_and_lists_answer_the_same(reranking: TestClient) -> None:
    hits = ask(reranking, k=3, rerank=True)["hits"]
    got = reranking.get("/v1/search/clips", params={"q": QUERY, "k": 3, "rerank": True}).json()
    assert got["hits"] == hits and got["reranked"]["candidates"] == 5
    body = {"queries": ["a blue square", QUERY], "k": 3, "rerank": True}
    assert reranking.post("/v1/search/clips/batch", json=body).json()["answers"][1]["hits"] == hits


def test_a_text_raises_the_new_score(built_world: World, with_frames: World, tmp_path: Path) -> None:
    """score = max(b, (W b + w e) / (W + w)), with b the score after the second look."""
    library = tmp_path / "library"
    encoder = FakeEncoder(frames=True)
    index_videos(library, [built_world.videos], encoder, frame_vectors=True)
    add_captions(library, built_world.captions, encoder)
    with TestClient(create_app(Settings(library=library), encoder)) as client:
        raised = ask(client, k=5, rerank=True)
        pictures = ask(client, k=5, rerank=True, weights={WORDS: 0})
        alone = {"global": 0, "entity": 0, "action": 0, "relation": 0, WORDS: 1}
        first = ask(client, k=5, weights=alone)["hits"]
        assert ask(client, k=5, rerank=True, weights=alone)["hits"] == first, "the pictures count for nothing"
        for weight in (0.5, 4.0):
            plain = without_phrases(client, weight)
            assert plain["rerank"] == pytest.approx(plain["first"]), "a query without phrases keeps its scores"
    base = {hit["clip_id"]: hit["score"] for hit in pictures["hits"]}
    total = sum(weight for name, weight in raised["weights"].items() if name != WORDS)
    weight = raised["weights"][WORDS]
    counted = 0
    for hit in raised["hits"]:
        b, words = base[hit["clip_id"]], hit["levels"][WORDS]
        expected = max(b, (total * b + weight * words["activation"]) / (total + weight))
        assert hit["score"] == pytest.approx(expected)
        assert sum(own["contribution"] for own in hit["levels"].values()) == pytest.approx(expected)
        counted += words["weight"] > 0
    assert counted


@pytest.mark.parametrize(
    ("more", "detail"),
    [
        ({"parts": [{"text": "a dog", "weight": -0.5}]}, "rerank is for a query alone. Leave out parts."),
        ({"diverse": True, "group": "video"}, "Leave out group, diverse."),
        ({"then": [{"parts": [{"text": "a dog"}]}]}, "Leave out then."),
        ({"k": 100, "offset": 101}, "With rerank, offset and k together are at most 200, not 201."),
    ],
)
def test_what_it_does_not_go_with(reranking: TestClient, more: dict[str, Any], detail: str) -> None:
    response = reranking.post("/v1/search/clips", json={"query": QUERY, "rerank": True, **more})
    assert response.status_code == 422
    assert detail in response.text


def test_a_library_without_frames_says_so(client: TestClient) -> None:
    response = client.post("/v1/search/clips", json={"query": QUERY, "rerank": True})
    assert response.status_code == 422
    assert "This library has no vectors of frames" in response.json()["detail"]
    assert "quartet index --frame-vectors" in response.json()["detail"]


def test_the_client_and_the_command_line(with_frames: World, built_world: World) -> None:
    settings = Settings(library=with_frames.library)
    with running(settings, FakeEncoder(frames=True)) as service, Client(service.url) as client:
        hits = client.search(QUERY, 3, rerank=True).hits
        assert client.find(QUERY, 3, rerank=True).hits == hits
        assert client.search_many([QUERY], 3, rerank=True)[0].hits == hits
        assert [hit.clip_id for hit in hits] != [hit.clip_id for hit in client.search(QUERY, 3).hits]
        shown = CliRunner().invoke(app, ["search", QUERY, "-k", "3", "--rerank", "--server", service.url])
        assert shown.exit_code == 0, shown.output
        assert "best 5 scored again in" in " ".join(shown.output.split())
    here = CliRunner(env={"QUARTET_MODEL": "fake", "COLUMNS": "200"})
    status = here.invoke(app, ["status", "--library", str(with_frames.library)])
    assert "4 vectors of 16 numbers per clip, for `quartet search --rerank`" in status.output
    asked = here.invoke(app, ["status", "--json", "--library", str(built_world.library)])
    assert json.loads(asked.output)["frames"] is None
    refused = here.invoke(app, ["search", QUERY, "--rerank", "--library", str(built_world.library)])
    assert refused.exit_code == 1 and "no vectors of frames" in " ".join(refused.output.split())
