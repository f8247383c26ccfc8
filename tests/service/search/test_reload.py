"""Switching to new generations while the service is asked: nothing fails, and no answer mixes two of them."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi.testclient import TestClient

from indexer.store.library import Library
from indexer.store.management import remove_videos
from indexer.texts.captions import add_captions
from model.fake_encoder import FakeEncoder
from quartet.client import Client
from service.http.app import create_app
from service.settings import Settings
from tests.service.running import running

if TYPE_CHECKING:
    from tests.service.conftest import World

SWAPS = 20


def test_twenty_swaps_under_load(world: World, tmp_path: Path) -> None:
    """Every swap adds a caption, so the answer of a generation has exactly as many hits as it has captions."""
    with Library.open(world.library) as library:
        first = int(library.current().name)
    expected = {f"{first + i:06d}": 5 + i for i in range(SWAPS + 1)}
    seen: list[tuple[str, int, frozenset[str]]] = []
    stop, answered = threading.Event(), threading.Condition()
    settings = Settings(library=world.library, reload_interval=0.01)
    with running(settings, FakeEncoder()) as service:

        def load(clip_id: int) -> None:
            with Client(service.url, retries=0) as client:
                while not stop.is_set():
                    answer = client.captions_of(clip_id, 100)
                    both = client.search_many(["a red square sliding", "a grey wall"], 3)
                    assert {hit.title for hit in both[0].hits} <= set(world.texts)
                    assert both[0].generation == both[1].generation
                    with answered:
                        seen.append((answer.generation, len(answer.hits), frozenset(hit.text for hit in answer.hits)))
                        answered.notify()

        with ThreadPoolExecutor() as pool:
            asking = [pool.submit(load, clip_id) for clip_id in (1, 2)]
            for i in range(SWAPS):
                more = tmp_path / f"{i}.txt"
                more.write_text(f"thing number {i} jumping\n", encoding="utf-8")
                name = add_captions(world.library, more, FakeEncoder()).generation
                service.engine.refresh()
                assert service.engine.generation().name == name
                # The load has to have met this generation before the next one comes.
                with answered:
                    met = answered.wait_for(lambda name=name: any(answer[0] == name for answer in seen[-50:]), 60)
                assert met, [future.exception() for future in asking if future.done()]
            stop.set()
            for future in asking:
                future.result(30)
    assert len({generation for generation, _, _ in seen}) > SWAPS
    for generation, hits, texts in seen:
        assert hits == expected[generation] == len(texts)
        assert ("thing number 0 jumping" in texts) == (int(generation) > first)


def test_clips_that_leave_are_not_hits_of_the_next_generation(world: World) -> None:
    with TestClient(create_app(Settings(library=world.library, reload_interval=60), FakeEncoder())) as client:
        body = {"query": "a red square sliding"}
        before = client.post("/v1/search/clips", json=body).json()
        remove_videos(world.library, [world.videos / "red.mp4"])
        still = client.post("/v1/search/clips", json=body).json()
        assert still["generation"] == before["generation"] and still["hits"] == before["hits"]
        client.app.state.libraries.default.engine.refresh()  # type: ignore[attr-defined]
        after = client.post("/v1/search/clips", json=body).json()
    assert after["generation"] > before["generation"]
    # How likely a hit is a match is learned from the library, which is another one now: as a new service learns it.
    with TestClient(create_app(Settings(library=world.library), FakeEncoder())) as client:
        assert after["hits"] == client.post("/v1/search/clips", json=body).json()["hits"]
    kept = [{**hit, "likelihood": None} for hit in before["hits"] if hit["title"] != "red"]
    assert kept == [{**hit, "likelihood": None} for hit in after["hits"]]


def test_a_generation_that_cannot_be_opened_leaves_the_one_before(world: World) -> None:
    with TestClient(create_app(Settings(library=world.library, reload_interval=60), FakeEncoder())) as client:
        engine = client.app.state.libraries.default.engine  # type: ignore[attr-defined]
        live = (world.library / "CURRENT").read_text(encoding="ascii")
        (world.library / "CURRENT").write_text("000099\n", encoding="ascii")
        engine.refresh()
        assert client.post("/v1/search/clips", json={"query": "a"}).status_code == 200
        assert "000099" in client.get("/readyz").json()["warnings"][0]
        (world.library / "CURRENT").write_text(live, encoding="ascii")
        engine.refresh()
        assert client.get("/readyz").json()["warnings"] == []


def test_a_generation_that_the_catalogue_does_not_know_is_not_searched(world: World, tmp_path: Path) -> None:
    """Such as another library's, of another model, that was copied into this one: the last good one goes on."""
    with TestClient(create_app(Settings(library=world.library, reload_interval=60), FakeEncoder())) as client:
        engine = client.app.state.libraries.default.engine  # type: ignore[attr-defined]
        Library.create(tmp_path / "other", FakeEncoder(seed=1).spec).close()
        shutil.copytree(tmp_path / "other" / "generations" / "000001", world.library / "generations" / "000099")
        (world.library / "CURRENT").write_text("000099\n", encoding="ascii")
        engine.refresh()
        answer = client.post("/v1/search/clips", json={"query": "a"})
        assert answer.status_code == 200 and answer.json()["generation"] != "000099"
        ready = client.get("/readyz")
        assert ready.status_code == 200
        (warning,) = ready.json()["warnings"]
        assert "000099" in warning, "at once, not at the next look"
