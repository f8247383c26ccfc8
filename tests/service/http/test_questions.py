"""Questions of several parts over HTTP: sentences, clips, files, in an order, by films, each moment told once."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from model.fake_encoder import FakeEncoder
from service.http.app import create_app
from service.settings import Settings

if TYPE_CHECKING:
    from tests.service.conftest import World

RED = "a red square sliding"


@pytest.fixture(scope="module")
def films_client(films: World) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(library=films.library), FakeEncoder())) as client:
        yield client


def ask(client: TestClient, **question: Any) -> dict[str, Any]:
    answer = client.post("/v1/search/clips", json={"k": 20, **question})
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(client: TestClient, status: int = 422, **question: Any) -> str:
    answer = client.post("/v1/search/clips", json=question)
    assert answer.status_code == status, answer.text
    return answer.text


def test_a_sentence_is_a_question_of_one_part(client: TestClient) -> None:
    sentence = ask(client, query=RED)
    part = ask(client, parts=[{"text": RED, "weight": 5}])
    assert sentence["hits"] == part["hits"]
    assert sentence["query"] == part["query"] == RED
    assert sentence["parts"] == [
        {
            "moment": 0,
            "text": RED,
            "clip_id": None,
            "upload": None,
            "weight": 1.0,
            "reaction": False,
            "attributes": sentence["query_attributes"],
        }
    ]
    assert all(hit["parts"] is None for hit in sentence["hits"])


def test_the_parts_of_a_question_explain_its_hits(client: TestClient) -> None:
    parts = [{"text": "a wall", "weight": 0.5}, {"text": "a blue square sliding", "weight": -0.4}, {"clip_id": 2}]
    answer = ask(client, query=RED, parts=parts)
    assert [part["weight"] for part in answer["parts"]] == [1, 0.5, -0.4, 1]
    assert answer["exact"]
    for hit in answer["hits"]:
        assert len(hit["parts"]["contributions"]) == 4
        parts = hit["parts"]
        assert sum(parts["contributions"]) + parts["base"] + parts["words"] == pytest.approx(hit["score"])
        assert sum(level["contribution"] for level in hit["levels"].values()) == pytest.approx(hit["score"])
    # A clip that is shown is not a hit itself.
    assert 2 not in [hit["clip_id"] for hit in answer["hits"]]


def test_what_is_not_wanted_ranks_lower(client: TestClient) -> None:
    plain, without = ask(client, query="square"), ask(client, query="square", parts=[{"clip_id": 1, "weight": -1}])
    rank = [[hit["clip_id"] for hit in answer["hits"]].index(1) for answer in (plain, without)]
    assert rank[1] >= rank[0]
    assert without["hits"][-1]["clip_id"] == 1


def test_a_clip_alone_is_compared_as_similar_clips_are(client: TestClient) -> None:
    similar = client.post("/v1/search/similar", json={"clip_id": 3, "k": 20}).json()
    parts = ask(client, parts=[{"clip_id": 3}])
    assert [(hit["clip_id"], hit["score"]) for hit in parts["hits"]] == [
        (hit["clip_id"], pytest.approx(hit["score"])) for hit in similar["hits"]
    ]


def test_reactions_are_parts(client: TestClient) -> None:
    answer = ask(client, query=RED, more_like=[1, 2, 2], less_like=[3])
    assert [(part["clip_id"], part["weight"]) for part in answer["parts"] if part["reaction"]] == [
        (1, 0.5),
        (2, 0.5),
        (3, -0.5),
    ]
    # Other than a clip that a question is about, one that was liked may still be looked at.
    assert {1, 2} <= {hit["clip_id"] for hit in answer["hits"]}
    only = ask(client, more_like=[2], k=1)
    assert only["hits"][0]["clip_id"] == 2


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({}, "The question is empty"),
        ({"less_like": [1]}, "The question is empty"),
        ({"parts": [{}]}, "exactly one of text, clip_id and upload"),
        ({"parts": [{"text": "a", "clip_id": 1}]}, "exactly one of text, clip_id and upload"),
        ({"parts": [{"text": "a", "weight": 0}]}, "The weight of a part must be between 0.001 and 1000"),
        ({"parts": [{"text": " "}]}, "The query is empty"),
        ({"parts": [{"text": "a"}] * 17}, "at most 16"),
        ({"query": "a", "then": [{"parts": [{"text": "b"}] * 16}]}, "The question has 17 parts. The maximum is 16."),
        ({"query": "a", "then": [{"parts": []}]}, "must not be empty"),
        ({"query": "a", "then": [{"parts": [{"text": "b"}], "within": 1e9}]}, "86400"),
        ({"query": "a", "group": "film"}, "video"),
        ({"query": "a", "per_video": 2}, "per_video needs diverse or group"),
        ({"query": "a", "parts": [{"text": "a", "weight": -1}]}, "cancel each other out"),
    ],
)
def test_a_question_that_cannot_be_asked(client: TestClient, question: dict[str, Any], said: str) -> None:
    assert said in refused(client, **question)


def test_parts_that_are_not_there(client: TestClient) -> None:
    assert "no clip 99" in refused(client, 404, query="a", parts=[{"clip_id": 99}])
    assert "no clip 98" in refused(client, 404, query="a", less_like=[98])
    assert "no upload 'shot'" in refused(client, 404, query="a", parts=[{"upload": "shot"}])


def test_a_picture_finds_the_clip_that_it_was_taken_of(client: TestClient, built_world: World) -> None:
    for name in ("red", "blue", "yellow"):
        video = (built_world.videos / f"{name}.mp4").read_bytes()
        sent = client.post("/v1/search/uploads", files={"file": ("x.mp4", video)})
        assert sent.status_code == 200
        assert sent.json()["kind"] == "video"
        by_id = ask(client, parts=[{"upload": sent.json()["upload"]}])
        assert by_id["hits"][0]["title"] == name
        question = json.dumps({"parts": [{"upload": "shot"}], "k": 20})
        beside = client.post(
            "/v1/search/clips/upload", files={"shot": ("x.mp4", video)}, data={"question": question}
        ).json()
        assert [hit["clip_id"] for hit in beside["hits"]] == [hit["clip_id"] for hit in by_id["hits"]]


def picture(colour: tuple[int, int, int], kind: str = "PNG") -> bytes:
    pixels = np.full((60, 80, 3), colour, np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def test_a_picture_is_a_clip_of_one_frame(client: TestClient) -> None:
    answer = client.post("/v1/search/uploads", files={"file": ("x", picture((10, 200, 30)))})
    assert answer.json() | {"upload": ""} == {"upload": "", "kind": "picture", "start": 0, "end": 0}
    hits = ask(client, query="square", parts=[{"upload": answer.json()["upload"], "weight": 2}])["hits"]
    assert len(hits) == 5


def test_a_stretch_of_a_film(films_client: TestClient, films: World) -> None:
    film = (films.library.parent / "films" / "film.mp4").read_bytes()
    for number, start in enumerate((0.0, 2.0, 4.0)):
        fields = {"start": str(start), "end": str(start + 2)}
        sent = films_client.post("/v1/search/uploads", files={"file": ("film", film)}, data=fields).json()
        assert (sent["start"], sent["end"]) == (start, start + 2)
        # A video of the same colour ties with it.
        question = {"parts": [{"upload": sent["upload"]}], "filter": {"tags": ["a film"]}}
        best = ask(films_client, **question)["hits"][0]
        assert (best["title"], best["start"]) == ("film", 2.0 * number)


@pytest.mark.parametrize(
    ("path", "files", "fields", "said"),
    [
        ("uploads", {}, {}, "a video or a picture in the part 'file'"),
        ("uploads", {"file": b"text"}, {}, "The format of the file is unknown"),
        ("uploads", {"file": picture((1, 2, 3))[:60]}, {}, "damaged"),
        ("uploads", {"file": picture((1, 2, 3))}, {"start": "3", "end": "2"}, "must be before end"),
        ("uploads", {"file": picture((1, 2, 3))}, {"start": "soon"}, "number"),
        ("clips/upload", {"shot": picture((1, 2, 3))}, {}, "the question as JSON"),
        ("clips/upload", {"shot": picture((1, 2, 3))}, {"question": "{"}, "JSON"),
        ("clips/upload", {"shot": picture((1, 2, 3))}, {"question": '{"query": "a"}'}, "names the file 'shot'"),
    ],
)
def test_a_form_that_cannot_be_used(
    client: TestClient, path: str, files: dict[str, bytes], fields: dict[str, str], said: str
) -> None:
    sent = {name: ("x", content) for name, content in files.items()} or {"other": ("x", b"")}
    answer = client.post(f"/v1/search/{path}", files=sent, data=fields)
    assert answer.status_code == 422
    assert said in answer.text


def test_one_thing_after_another(films_client: TestClient, films: World) -> None:
    def clip(second: float) -> int:
        listed = films_client.get("/v1/clips?limit=100").json()["items"]
        return next(c["clip_id"] for c in listed if c["title"] == "film" and c["start"] == second)

    first, middle, last = (clip(second) for second in (0.0, 2.0, 4.0))
    uploads = {}
    film = (films.library.parent / "films" / "film.mp4").read_bytes()
    for name, start in (("red", 0.0), ("green", 2.0), ("blue", 4.0)):
        fields = {"start": str(start), "end": str(start + 2)}
        sent = films_client.post("/v1/search/uploads", files={"file": ("film", film)}, data=fields).json()
        uploads[name] = {"upload": sent["upload"]}
    forward = ask(
        films_client, parts=[uploads["red"]], then=[{"parts": [uploads["green"]]}, {"parts": [uploads["blue"]]}]
    )
    (hit,) = forward["hits"]
    assert [moment["clip_id"] for moment in hit["moments"]] == [first, middle, last]
    assert (hit["start"], hit["end"]) == (0.0, 6.0)
    assert hit["score"] == pytest.approx(1.0, abs=1e-5)
    assert [part["moment"] for part in forward["parts"]] == [0, 1, 2]
    assert sum(hit["parts"]["contributions"]) + hit["parts"]["base"] == pytest.approx(hit["score"])
    assert sum(level["contribution"] for level in hit["levels"].values()) == pytest.approx(hit["score"])
    # Blue comes two seconds after the end of red.
    for within, count in ((1.9, 0), (2.0, 1)):
        then = [{"parts": [uploads["blue"]], "within": within}]
        hits = ask(films_client, parts=[uploads["red"]], then=then, filter={"tags": ["a film"]})["hits"]
        assert [first, last] in [[m["clip_id"] for m in hit["moments"]] for hit in hits] or count == 0
        assert all([m["clip_id"] for m in hit["moments"]] != [first, last] for hit in hits) or count == 1


def test_films_by_their_best_moments(films_client: TestClient) -> None:
    clips, films = ask(films_client, query=RED), ask(films_client, query=RED, group="video")
    best: dict[int, float] = {}
    for hit in clips["hits"]:
        best.setdefault(hit["video_id"], hit["score"])
    assert [(hit["video_id"], hit["score"]) for hit in films["hits"]] == list(best.items())
    film = next(hit for hit in films["hits"] if hit["title"] == "film")
    starts = [moment["start"] for moment in film["moments"]]
    assert starts == sorted(starts)
    assert film["clip_id"] in [moment["clip_id"] for moment in film["moments"]]
    pages = [ask(films_client, query=RED, group="video", k=2, offset=offset)["hits"] for offset in range(0, 8, 2)]
    assert [hit for page in pages for hit in page] == films["hits"]


def test_the_same_is_told_once(films_client: TestClient) -> None:
    everything = [hit["clip_id"] for hit in ask(films_client, query=RED)["hits"]]
    diverse = ask(films_client, query=RED, diverse=True)["hits"]
    shown = [hit["clip_id"] for hit in diverse]
    assert shown == [clip for clip in everything if clip in shown]
    assert sorted([*shown, *(clip for hit in diverse for clip in hit["alike"])]) == sorted(everything)
    # Clips of one colour look alike, and those of the film touch: one stands for its neighbours.
    assert len(shown) == 5
    film = ask(films_client, query=RED, diverse=True, filter={"tags": ["a film"]})["hits"]
    assert 1 <= len(film) <= 2
    assert sum(len(hit["alike"]) for hit in film) == 3 - len(film)
    one = ask(films_client, query=RED, diverse=True, per_video=1)["hits"]
    assert len({hit["video_id"] for hit in one}) == len(one)
    pages = [ask(films_client, query=RED, diverse=True, k=2, offset=offset)["hits"] for offset in range(0, 10, 2)]
    assert [hit["clip_id"] for page in pages for hit in page] == shown


def test_the_filter_and_the_lowest_score_hold_for_films_and_chains(films_client: TestClient, films: World) -> None:
    hits = ask(films_client, query=RED, group="video", filter={"tags": ["warm"]})["hits"]
    assert {hit["title"] for hit in hits} == {"red", "yellow"}
    least = hits[0]["score"]
    assert len(ask(films_client, query=RED, group="video", filter={"tags": ["warm"]}, min_score=least)["hits"]) == 1
    assert ask(films_client, query=RED, then=[{"parts": [{"text": "a wall"}]}], filter={"tags": ["warm"]})["hits"] == []


def test_a_picture_that_is_too_large(films: World, tmp_path: Path) -> None:
    from indexer.media.decode_limits import Limits
    from indexer.media.still_pictures import read_picture
    from quartet.errors import VideoError

    path = tmp_path / "x"
    path.write_bytes(picture((1, 2, 3), "JPEG"))
    with pytest.raises(VideoError, match="80x60 pixels"):
        read_picture(path, Limits(pixels=4000))
