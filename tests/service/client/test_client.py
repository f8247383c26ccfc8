"""The Python client, against the application itself."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Iterator
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
from quartet.schemas.question import Part
from quartet.schemas.search import ClipSearch, Filter
from service.cli import app
from service.http.app import create_app
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
    monkeypatch.setattr("quartet.requests.request.PAGE", 2)
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
    assert list(inspect.signature(Client("http://quartet").wait).parameters) == ["job_id", "progress"]
    signature = inspect.signature(AsyncClient("http://quartet").search)
    assert signature == inspect.signature(Client("http://quartet").search)
    assert list(signature.parameters)[:2] == ["query", "k"]
    assert (Client("http://quartet").search.__doc__ or "").startswith("Clips for a ")


def test_the_client_for_asyncio(built_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quartet.requests.request.PAGE", 2)

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


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://here", "http://", "http:///v1"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(InputError, match="is not the address of a service"):
        Client(url)


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
        named = CliRunner().invoke(app, [*there, "--library", "default"])
        assert named.exit_code == 0 and "generation 000003" in named.stdout
        missing = CliRunner().invoke(app, [*there, "--library", "news"])
        assert missing.exit_code == 1 and "There is no library 'news'" in missing.stderr
        both = CliRunner().invoke(app, [*there, "--model", "fake"])
        assert both.exit_code == 2
    gone = CliRunner().invoke(app, there)
    assert gone.exit_code == 1 and "cannot be reached" in gone.stderr


def job(state: str) -> dict[str, object]:
    """A job as the service tells of it."""
    ended = "2026-01-01T00:00:02Z" if state == "done" else None
    times = {"created": "2026-01-01T00:00:00Z", "started": "2026-01-01T00:00:01Z", "finished": ended}
    return {"id": "7", "state": state, "source": "films", "progress": None, "report": None, "error": None, **times}


def test_waiting_hears_of_each_change_and_survives_a_break(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("quartet.client.time.sleep", waited.append)
    asked: list[str] = []

    def broken() -> Iterator[bytes]:
        yield f"event: job\ndata: {json.dumps(job('queued'))}\n\n".encode()
        raise httpx2.ReadError("the connection is gone")

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        events = {"content-type": "text/event-stream"}
        match len(asked):
            case 1:
                return httpx2.Response(200, headers=events, content=broken())
            case 2:
                return httpx2.Response(200, json=job("running"))
            case 3:
                whole = "".join(f"event: job\ndata: {json.dumps(job(state))}\n\n" for state in ("running", "done"))
                return httpx2.Response(200, headers=events, content=whole.encode())
        return httpx2.Response(200, json=job("done"))

    heard: list[str] = []
    quartet = Client("http://quartet", http=httpx2.Client(transport=httpx2.MockTransport(answer)))
    assert quartet.wait("7", lambda one: heard.append(one.state)).state == "done"
    assert heard == ["queued", "running", "done"]
    assert asked == ["/v1/jobs/7/events", "/v1/jobs/7"] * 2 and waited == [1.0]


def test_waiting_ends_where_the_service_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("quartet.client.time.sleep", waited.append)
    with pytest.raises(UnreachableError):
        scripted(*[httpx2.ConnectError("refused")] * 12).wait("7")
    assert waited == [1, 2, 3, 4, 5]


def test_a_video_is_never_whole_in_memory(tmp_path: Path) -> None:
    target, seen = tmp_path / "clip.mp4", []

    def pieces() -> Iterator[bytes]:
        for number in range(3):
            seen.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
            yield bytes([number]) * 2**20

    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, content=pieces()))
    assert Client("http://quartet", http=httpx2.Client(transport=transport)).media(1, target) == target
    assert (
        seen[0] == 0
        and 0 < seen[1] < seen[2]
        and target.read_bytes() == b"".join(bytes([number]) * 2**20 for number in range(3))
    )


def test_videos_are_written_to_files(quartet: Client, built_world: World, tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    source = next(iter(quartet.videos())).path
    assert quartet.media(1, target).read_bytes() == (built_world.videos / source).read_bytes()
    assert quartet.clip_file(1, tmp_path / "cut.mp4").stat().st_size and quartet.proxy(1, tmp_path / "p.mp4").exists()
    with pytest.raises(NotFoundError, match="no clip 99"):
        quartet.media(99, tmp_path / "none.mp4")
    with pytest.raises(InputError, match="cannot be written"):
        quartet.media(1, tmp_path / "nowhere" / "clip.mp4")
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", "cut.mp4", "p.mp4"}


def test_what_else_a_service_can_be_asked(quartet: Client, built_world: World) -> None:
    red = built_world.videos / "red.mp4"
    assert quartet.health().status == "ok" and "quartet_build_info" in quartet.metrics()
    (only,) = quartet.libraries().libraries
    assert (only.name, quartet.library("default").counts) == ("default", only.counts)
    assert quartet.session().authorized and quartet.log_in("any key") is None and quartet.log_out() is None
    found = quartet.find("a red square sliding", 2, weights={"action": 2}, tags=[])
    assert found.hits == quartet.search("a red square sliding", 2, weights={"action": 2}).hits
    told: list[tuple[int, int]] = []
    question = ClipSearch(parts=[Part(upload="one"), Part(upload="two")])
    mixed = quartet.search_files(question, {"one": red, "two": red}, lambda sent, size: told.append((sent, size)))
    assert mixed.hits and told[-1] == (2 * red.stat().st_size,) * 2
    vectors = quartet.embed(["a red square", "a wall"], level="global")
    assert [one.index for one in vectors.data] == [0, 1] and [part.name for part in vectors.levels] == ["global"]
    assert quartet.video(1).video_id == 1 and len(list(quartet.texts(1))) == 1
    assert len(list(quartet.folders())) == len(set(quartet.folders())) and len(list(quartet.failures())) == 2


def test_saved_searches(world: World) -> None:
    with TestClient(create_app(Settings(library=world.library), FakeEncoder())) as http:
        quartet = Client("http://testserver", http=http)
        saved = quartet.save_search("red / blue", ClipSearch(query="a red square", k=3))
        assert saved.request.k == 3 and [one.name for one in quartet.saved_searches().items] == ["red / blue"]
        quartet.mark_seen("red / blue")
        quartet.forget_search("red / blue")
        assert quartet.saved_searches().items == []


def test_a_named_library_is_asked_at_its_address() -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        return httpx2.Response(200, json={"folders": [], "uploads": False, "jobs": []})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    Client("http://quartet/", library="news", http=http).jobs()
    assert asked == ["/v1/libraries/news/jobs"]
