"""The Python client, against the application itself."""

from __future__ import annotations

import asyncio
import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from model.fake_encoder import FakeEncoder
from quartet.answers import ERROR_OF
from quartet.client import AsyncClient, Client
from quartet.errors import (
    BusyError,
    InputError,
    InvalidRequestError,
    NotFoundError,
    QuartetError,
    UnreachableError,
    VideoError,
)
from quartet.schemas.search import Filter
from service.cli import app
from service.problems import KINDS
from service.settings import Settings
from tests.service.running import running

if TYPE_CHECKING:
    from tests.service.conftest import World

KEY = "a-key-of-some-length"


@pytest.fixture
def quartet(client: TestClient) -> Client:
    return Client("http://testserver", http=client)


def test_every_search(quartet: Client, built_world: World) -> None:
    answer = quartet.search("a red square sliding", 3, weights={"action": 2}, explain=True)
    assert len(answer.hits) == 3 and answer.weights["action"] == 2 and answer.explanation is not None
    assert quartet.search("a red square sliding", 2, offset=1, weights={"action": 2}).hits == answer.hits[1:]
    many = quartet.search_many(["a red square sliding", "a wall"], 5, min_score=answer.hits[0].score)
    assert [one.query for one in many] == ["a red square sliding", "a wall"]
    only = quartet.search("a wall", filter=Filter(video_ids=[2], end=100))
    assert [hit.video_id for hit in only.hits] == [2]
    assert 1 not in [hit.clip_id for hit in quartet.similar(1).hits]
    assert {hit.text for hit in quartet.captions_of(1).hits} == set(built_world.texts.values())
    assert len(quartet.describe(built_world.videos / "red.mp4", 2).hits) == 2


def test_what_the_library_holds(quartet: Client, built_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quartet.requests.PAGE", 2)
    assert sorted(video.title for video in quartet.videos()) == sorted(built_world.texts)
    assert [clip.clip_id for clip in quartet.clips()] == [1, 2, 3, 4, 5]
    assert [clip.video_id for clip in quartet.clips(video_id=3)] == [3]
    assert {caption.text for caption in quartet.captions()} == set(built_world.texts.values())
    assert quartet.clip(1).captions and quartet.ready().device == "cpu"
    assert quartet.library().counts.clips == 5 and quartet.jobs().jobs == []


def test_problems_are_exceptions(quartet: Client, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no clip 99"):
        quartet.clip(99)
    with pytest.raises(InputError, match="Unknown level"):
        quartet.search("a", weights={"colour": 1})
    with pytest.raises(InputError, match="query is empty"):
        quartet.search(" ")
    with pytest.raises(InputError, match="cannot be read"):
        quartet.describe(tmp_path / "gone.mp4")
    (tmp_path / "words.mp4").write_text("words " * 50, encoding="utf-8")
    with pytest.raises(VideoError) as caught:
        quartet.describe(tmp_path / "words.mp4")
    assert (caught.value.reason, caught.value.path.name) == ("not-a-video", "words.mp4")


def scripted(*answers: httpx2.Response | Exception) -> Client:
    """A client of a service that answers so, in turn."""
    left = iter(answers)

    def answer(request: httpx2.Request) -> httpx2.Response:
        given = next(left)
        if isinstance(given, Exception):
            raise given
        return given

    return Client("http://quartet", http=httpx2.Client(transport=httpx2.MockTransport(answer)))


def problem(status: int, kind: str, **headers: str) -> httpx2.Response:
    body = {"type": f"/problems#{kind}", "detail": "It says so.", "request_id": "abc"}
    return httpx2.Response(status, json=body, headers=headers)


def test_a_busy_service_is_asked_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("quartet.client.time.sleep", waited.append)
    busy = {"retry-after": "2"}
    jobs = httpx2.Response(200, json={"folders": [], "uploads": False, "jobs": []})
    assert scripted(problem(429, "busy", **busy), problem(429, "busy", **busy), jobs).jobs().folders == []
    assert waited == [2, 2]
    with pytest.raises(BusyError) as caught:
        scripted(*[problem(429, "busy", **busy)] * 4).jobs()
    assert caught.value.retry_after == 2 and len(waited) == 5


def test_every_type_of_problem_has_its_own_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(ERROR_OF) == {kind.slug for kind in KINDS}
    assert len(set(ERROR_OF.values())) == len(KINDS)
    monkeypatch.setattr("quartet.client.time.sleep", lambda seconds: None)
    for kind in KINDS:
        with pytest.raises(QuartetError) as caught:
            scripted(*[problem(kind.status, kind.slug)] * 4).ready()
        assert type(caught.value) is ERROR_OF[kind.slug] and caught.value.request_id == "abc"


def test_an_invalid_request_names_its_fields(quartet: Client) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        quartet.search("a", k=0)
    assert caught.value.fields == {"body.k": "k must be at least 1."}


def test_uploads_tell_how_far_they_are(quartet: Client, built_world: World) -> None:
    told: list[tuple[int, int]] = []
    video = built_world.videos / "red.mp4"
    answer = quartet.describe(video, 1, {"action": 2}, progress=lambda sent, size: told.append((sent, size)))
    size = video.stat().st_size
    assert answer.weights["action"] == 2
    assert told[-1] == (size, size) and [sent for sent, _ in told] == sorted(sent for sent, _ in told)


def test_a_service_behind_a_proxy_that_names_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("quartet.client.time.sleep", waited.append)
    dated = problem(429, "busy", **{"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"})
    with pytest.raises(BusyError):
        scripted(*[dated] * 4).jobs()
    assert waited == [1, 1, 1]


def test_both_clients_have_the_same_methods() -> None:
    methods = {name for name in dir(Client) if not name.startswith("_")}
    assert methods == {name for name in dir(AsyncClient) if not name.startswith("_")}
    assert {"search", "search_many", "describe", "clips", "cancel", "wait"} <= methods
    assert list(inspect.signature(Client("http://quartet").wait).parameters) == ["job_id", "progress", "every"]
    signature = inspect.signature(AsyncClient("http://quartet").search)
    assert signature == inspect.signature(Client("http://quartet").search)
    assert list(signature.parameters)[:2] == ["query", "k"]
    assert (Client("http://quartet").search.__doc__ or "").startswith("Clips for a ")


def test_the_client_for_asyncio(built_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quartet.requests.PAGE", 2)

    async def use(url: str) -> None:
        async with AsyncClient(url) as quartet:
            one, two = await asyncio.gather(quartet.search("a red square sliding", 3), quartet.similar(1))
            assert len(one.hits) == 3 and 1 not in [hit.clip_id for hit in two.hits]
            many = await quartet.search_many(["a wall", "a red square"], 2)
            assert [answer.query for answer in many] == ["a wall", "a red square"]
            assert [clip.clip_id async for clip in quartet.clips()] == [1, 2, 3, 4, 5]
            assert len((await quartet.describe(built_world.videos / "red.mp4", 2)).hits) == 2
            with pytest.raises(NotFoundError, match="no clip 99"):
                await quartet.clip(99)
            with pytest.raises(InputError, match="cannot be read"):
                await quartet.describe(tmp_path / "gone.mp4")

    with running(Settings(library=built_world.library), FakeEncoder()) as service:
        asyncio.run(use(service.url))


def test_the_client_for_asyncio_waits_without_blocking(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("quartet.client.asyncio.sleep", sleep)
    jobs = httpx2.Response(200, json={"folders": [], "uploads": False, "jobs": []})
    answers = iter([problem(429, "busy", **{"retry-after": "2"}), jobs])
    transport = httpx2.MockTransport(lambda request: next(answers))

    async def use() -> None:
        async with AsyncClient("http://quartet", http=httpx2.AsyncClient(transport=transport)) as quartet:
            assert (await quartet.jobs()).folders == []

    asyncio.run(use())
    assert waited == [2]


def test_what_is_no_answer_of_quartet() -> None:
    with pytest.raises(UnreachableError, match="cannot be reached"):
        scripted(httpx2.ConnectError("refused")).ready()
    with pytest.raises(QuartetError, match="without a Quartet problem document"):
        scripted(httpx2.Response(502, text="<html>")).ready()
    with pytest.raises(QuartetError, match="did not answer as this version of Quartet does"):
        scripted(httpx2.Response(200, json={"hello": "world"})).ready()
    with pytest.raises(QuartetError, match=r"It says so\. \(request abc\)"):
        scripted(problem(500, "internal")).ready()


def test_the_command_line_asks_a_server(built_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    settings = Settings(library=built_world.library, api_key=KEY)
    with running(settings, FakeEncoder()) as service:
        there = ["search", "a red square sliding", "--server", service.url, "-k", "2"]
        refused = CliRunner().invoke(app, there)
        assert refused.exit_code == 1 and "API key" in refused.stderr
        monkeypatch.setenv("QUARTET_API_KEY", KEY)
        shown = CliRunner().invoke(app, there)
        assert shown.exit_code == 0, shown.output
        assert "generation 000003" in shown.stdout
        answer = json.loads(CliRunner().invoke(app, [*there, "--json"]).stdout)
        assert len(answer["hits"]) == 2
        both = CliRunner().invoke(app, [*there, "--library", str(built_world.library)])
        assert both.exit_code == 2
    gone = CliRunner().invoke(app, there)
    assert gone.exit_code == 1 and "cannot be reached" in gone.stderr
