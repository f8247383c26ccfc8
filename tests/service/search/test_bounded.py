"""What a request may take of the service: time, decodings, room on the disk, the turns of others."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from indexer.media.decode_pool import UntrustedDecoding
from model.fake_encoder import FakeEncoder
from quartet.errors import BusyError, VideoError
from service.http.app import create_app
from service.search.decodings import Decodings
from service.search.engine import Engine
from service.search.requests import Question, cost_of, cut_by_cost
from service.settings import Settings
from tests.service.made_encoders import SECONDS, HeldEncoder

if TYPE_CHECKING:
    from tests.service.conftest import World


def test_a_list_is_answered_in_parts_that_cost_no_more_than_a_batch() -> None:
    assert [cost_of(Question.of("x" * n)) for n in (1, 63, 64, 1000)] == [1, 1, 2, 16]
    asked = [Question.of(text) for text in ["x" * 1000] * 5 + ["short"] * 3]
    parts = cut_by_cost(asked, 32)
    assert [len(part) for part in parts] == [2, 2, 4] and [one for part in parts for one in part] == asked
    assert cut_by_cost(asked[:1], 4) == [(asked[0],)]


def test_a_single_question_does_not_wait_for_lists(built_world: World) -> None:
    encoder = HeldEncoder()
    settings = Settings(library=built_world.library, workers=2, batch_size=32)
    with (
        closing(Engine.open(settings, encoder)) as engine,
        TestClient(create_app(settings, engine=engine)) as client,
        ThreadPoolExecutor() as pool,
    ):
        texts = [f"{i} {'x' * 900}" for i in range(10)]
        lists = pool.submit(client.post, "/v1/search/clips/batch", json={"queries": texts})
        assert encoder.entered.wait(SECONDS)
        asked = pool.submit(client.post, "/v1/search/clips", json={"query": "one"})
        while len(engine._pool._running) < 2:
            pass
        encoder.released.set()
        assert asked.result(SECONDS).status_code == lists.result(SECONDS).status_code == 200
    # One part of the list was begun, and behind it came the question, whose turn it was before the other parts.
    assert "one" in encoder.asked[:5]


def test_a_search_that_takes_too_long_is_given_up(built_world: World) -> None:
    encoder = HeldEncoder()
    settings = Settings(library=built_world.library, workers=1, request_timeout=0.1)
    with closing(Engine.open(settings, encoder)) as engine, TestClient(create_app(settings, engine=engine)) as client:
        answer = client.post("/v1/search/clips", json={"query": "a"})
        assert engine.waiting == 0
        encoder.released.set()
    assert answer.status_code == 503 and answer.json()["type"] == "/problems#overdue"
    assert int(answer.headers["retry-after"]) > 0


class SlowDecoding(UntrustedDecoding):
    """Takes until it is stopped."""

    begun: list[SlowDecoding]

    def run(self) -> None:  # type: ignore[override]
        self.ended = threading.Event()
        self.begun.append(self)
        assert self.ended.wait(SECONDS)
        raise VideoError("a.mp4", "unreadable", "The decoder crashed on this file.")

    def stop(self) -> None:
        self.ended.set()


def test_few_decode_at_a_time_and_a_client_that_leaves_ends_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    SlowDecoding.begun = []
    monkeypatch.setattr("service.search.decodings.UntrustedDecoding", SlowDecoding)

    async def run() -> None:
        decodings = Decodings(2, 0.05)
        first, second = (asyncio.create_task(decodings.sampled(Path("a.mp4"), 1)) for _ in range(2))
        while len(SlowDecoding.begun) < 2:
            await asyncio.sleep(0)
        with pytest.raises(BusyError):
            decodings.check()
        with pytest.raises(BusyError):
            await decodings.sampled(Path("a.mp4"), 1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        decodings.check()
        assert [one.ended.is_set() for one in SlowDecoding.begun] == [True, False] and decodings.running == 1
        SlowDecoding.begun[1].stop()
        with pytest.raises(VideoError):
            await second
        assert (decodings.running, decodings.done) == (0, 2)

    asyncio.run(run())


def test_an_upload_lies_on_the_disk_once(
    client: TestClient, built_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen: list[list[int]] = []

    class Looking(UntrustedDecoding):
        def run(self):  # type: ignore[no-untyped-def]
            seen.append([path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()])
            return super().run()

    monkeypatch.setattr("service.search.decodings.UntrustedDecoding", Looking)
    content = (built_world.videos / "red.mp4").read_bytes()
    assert client.post("/v1/search/captions/upload", files={"file": ("x.mp4", content)}).status_code == 200
    assert seen == [[len(content)]]


def test_readiness_tells_what_is_wrong(built_world: World) -> None:
    settings = Settings(library=built_world.library)
    with (
        closing(Engine.open(settings, FakeEncoder())) as engine,
        TestClient(create_app(settings, engine=engine)) as client,
    ):
        assert client.get("/readyz").json()["warnings"] == []
        engine.live.trouble = "its file is gone."
        assert client.get("/readyz").json()["warnings"] == [
            "The new generation cannot be opened; the previous one still answers: its file is gone."
        ]
