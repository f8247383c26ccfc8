"""Words that are there: what is told at the time of a clip as evidence for it, shown and marked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from indexer.ingest.index_run import index_videos
from indexer.media.segmentation import Segmentation
from model.fake_encoder import FakeEncoder
from service.http.app import create_app
from service.settings import Settings
from tests.service.conftest import COLOURS, PART, write_film, write_video

LINE = "interest rates are rising again"
SUBTITLES = f"""1
00:00:00,200 --> 00:00:01,500
something else entirely

2
00:00:02,400 --> 00:00:03,600
{LINE}
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A film of three clips, with a line of subtitles in the first and in the second, and a video without any."""
    folder = tmp_path_factory.mktemp("told")
    (folder / "videos" / "sub").mkdir(parents=True)
    write_film(folder / "videos" / "film.mp4")
    (folder / "videos" / "film.en.srt").write_text(SUBTITLES, encoding="utf-8")
    write_video(folder / "videos" / "sub" / "grey.mp4", COLOURS["grey"])
    index_videos(
        folder / "library",
        [folder / "videos"],
        FakeEncoder(),
        segmentation=Segmentation("window", window=PART, overlap=0),
    )
    with TestClient(create_app(Settings(library=folder / "library"), FakeEncoder())) as client:
        yield client


def search(client: TestClient, query: str, **more: object) -> dict:
    answer = client.post("/v1/search/clips", json={"query": query, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_line_finds_its_clip_and_is_shown(told: TestClient) -> None:
    answer = search(told, LINE, explain=True)
    first, *others = answer["hits"]
    assert answer["exact"]
    assert (first["title"], first["start"]) == ("film", PART)
    line = first["line"]
    assert (line["text"], line["start"], line["end"], line["language"]) == (LINE, 2.4, 3.6, "en")
    assert [LINE[a:b] for a, b in line["marks"]] == ["interest", "rates", "rising", "again"]
    words = first["levels"]["words"]
    assert words["raw"] == pytest.approx(1, abs=1e-5)
    assert words["weight"] == answer["weights"]["words"] == answer["explanation"]["levels"]["words"]["weight"] > 0
    for hit in answer["hits"]:
        assert sum(level["contribution"] for level in hit["levels"].values()) == pytest.approx(hit["score"], abs=1e-9)
    assert all(hit["line"] is None for hit in others if hit["levels"]["words"]["weight"] == 0)


@pytest.mark.parametrize("pictures", [True, False])
def test_each_moment_of_a_sequence_has_its_texts(told: TestClient, pictures: bool) -> None:
    weights = {} if pictures else dict.fromkeys(("global", "entity", "action", "relation"), 0) | {"words": 1}
    then = [{"parts": [{"text": LINE}], "within": 5}]
    answer = search(told, "something else entirely", then=then, weights=weights)
    first, *others = answer["hits"]
    assert answer["exact"] and [moment["start"] for moment in first["moments"]] == [0.0, PART]
    assert [moment["line"]["text"] for moment in first["moments"]] == ["something else entirely", LINE]
    assert first["line"] == first["moments"][0]["line"]
    assert [LINE[a:b] for a, b in first["moments"][1]["line"]["marks"]] == ["interest", "rates", "rising", "again"]
    assert all(hit["score"] < first["score"] for hit in others)
    for hit in answer["hits"]:
        assert sum(level["contribution"] for level in hit["levels"].values()) == pytest.approx(hit["score"], abs=1e-9)
        given = hit["parts"]
        assert sum(given["contributions"]) + given["base"] + given["words"] == pytest.approx(hit["score"], abs=1e-5)
    unraised = search(told, "something else entirely", then=then, weights={"words": 0})["hits"]
    assert all(moment["line"] is None for hit in unraised for moment in hit["moments"])


def test_films_are_ranked_by_their_texts_too(told: TestClient) -> None:
    film, *others = search(told, LINE, group="video")["hits"]
    assert film["title"] == "film" and film["line"]["text"] == LINE and len(others) == 1
    lines = {moment["start"]: moment["line"] and moment["line"]["text"] for moment in film["moments"]}
    assert lines[PART] == LINE and lines.get(2 * PART) is None


def test_texts_only_raise_scores(told: TestClient) -> None:
    with_texts = {hit["clip_id"]: hit["score"] for hit in search(told, "interest rates")["hits"]}
    without = {hit["clip_id"]: hit["score"] for hit in search(told, "interest rates", weights={"words": 0})["hits"]}
    assert with_texts.keys() == without.keys()
    assert all(with_texts[clip] >= without[clip] for clip in without)
    assert any(with_texts[clip] > without[clip] for clip in without)


def test_texts_alone(told: TestClient) -> None:
    """Weights may leave nothing but the texts: clips without any are then no hits."""
    nothing = dict.fromkeys(("global", "entity", "action", "relation"), 0)
    hits = search(told, LINE, weights={**nothing, "words": 1})["hits"]
    assert [hit["start"] for hit in hits] == [PART, 0.0]
    refused = told.post("/v1/search/clips", json={"query": LINE, "weights": nothing})
    assert refused.status_code == 422


@pytest.mark.parametrize(
    ("conditions", "starts"),
    [
        ({"words": '"rates are"'}, [("film", PART)]),
        ({"words": "RATES interest"}, [("film", PART)]),
        ({"words": '"interest are"'}, []),
        ({"languages": ["eng"]}, [("film", 0.0), ("film", PART)]),
        ({"has_text": False}, [("film", 2 * PART), ("grey", 0.0)]),
        ({"path": "sub"}, [("grey", 0.0)]),
        ({"path": "*.MP4"}, [("film", 0.0), ("film", PART), ("film", 2 * PART), ("grey", 0.0)]),
        ({"shortest": 3}, [("film", 0.0), ("film", PART), ("film", 2 * PART)]),
        ({"longest": 3}, [("grey", 0.0)]),
        ({"before": "2001-01-01"}, []),
        ({"after": "2001-01-01T00:00:00Z", "path": "sub/grey.mp4"}, [("grey", 0.0)]),
    ],
)
def test_filters(told: TestClient, conditions: dict, starts: list[tuple[str, float]]) -> None:
    hits = search(told, "a square", filter=conditions, sort="time")["hits"]
    assert [(hit["title"], hit["start"]) for hit in hits] == starts
    if "words" in conditions:
        assert all(hit["line"]["marks"] for hit in hits)


def test_filters_that_make_no_sense(told: TestClient) -> None:
    for conditions in ({"words": '"!"'}, {"languages": ["english"]}, {"after": "2002-01-01", "before": "2001-01-01"}):
        answer = told.post("/v1/search/clips", json={"query": "x", "filter": conditions})
        assert answer.status_code == 422


def test_newest_files_first(told: TestClient, tmp_path: Path, make_video: Callable[..., None]) -> None:
    titles = [hit["title"] for hit in search(told, "a square", sort="date")["hits"]]
    assert sorted(titles) == ["film", "film", "film", "grey"]
    assert titles in (["film"] * 3 + ["grey"], ["grey"] + ["film"] * 3)
