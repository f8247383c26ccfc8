"""The service and the command line on a library in Milvus Lite, and on a server."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Condition, Event
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from indexer.ingest.index_run import index_videos
from indexer.milvus.export import export_library
from indexer.store.manifest import ModelInfo
from indexer.texts.captions import add_captions
from model.fake_encoder import FakeEncoder
from quartet.client import Client
from quartet.schemas.jobs import Exported
from service.cli import app
from service.http.app import create_app
from service.search.engine import Engine
from service.settings import Settings
from tests.service.running import running

if TYPE_CHECKING:
    from tests.service.conftest import World

pytest.importorskip("pymilvus")


def words(text: str) -> str:
    return " ".join(text.split())


def run(*arguments: str | Path) -> Result:
    return CliRunner(env={"QUARTET_MODEL": "fake", "COLUMNS": "200"}).invoke(app, [str(a) for a in arguments])


def test_it_answers_as_from_the_librarys_own_files(world: World, client: TestClient, milvus_address: str) -> None:
    export_library(world.library, milvus_address)
    asked = [
        ("/v1/search/clips", {"query": "a red square sliding", "k": 3, "weights": {"action": 2}}),
        ("/v1/search/clips", {"query": "a grey wall", "filter": {"video_ids": [2, 4], "end": 0.5}}),
        ("/v1/search/clips", {"query": "a wall", "filter": {"tags": ["none"]}}),
        ("/v1/search/clips", {"query": ["red", "a blue square"], "offset": 1, "min_score": 0.1}),
        ("/v1/search/captions", {"clip_id": 2, "k": 4}),
        ("/v1/search/captions", {"clip_id": 77}),
        ("/v1/search/similar", {"clip_id": 3}),
    ]
    with TestClient(create_app(Settings(library=world.library, milvus=milvus_address), FakeEncoder())) as there:
        for path, body in asked:
            own, found = client.post(path, json=body), there.post(path, json=body)
            assert found.status_code == own.status_code
            assert without_times(found.json()) == without_times(own.json()), path
        refused = there.post("/v1/search/clips", json={"query": "a wall", "rerank": True})
        assert refused.status_code == 422 and "Milvus, which has no vectors of frames" in refused.json()["detail"]


def without_times(answer: object) -> object:
    """What both must agree on: neither times, nor how likely hits are, which a library in Milvus does not say."""
    if isinstance(answer, dict):
        left_out = ("took_ms", "request_id", "fit", "likelihood")
        return {key: without_times(value) for key, value in answer.items() if key not in left_out}
    return [without_times(value) for value in answer] if isinstance(answer, list) else answer


def test_changing_over_under_load(world: World, tmp_path: Path, milvus_address: str) -> None:
    """Every export adds a caption, so the answer of a generation has exactly as many hits as it has captions."""
    expected = {export_library(world.library, milvus_address).generation: 5}
    seen: list[tuple[str, int]] = []
    stop, answered = Event(), Condition()
    with running(
        Settings(library=world.library, milvus=milvus_address, reload_interval=0.01), FakeEncoder()
    ) as service:

        def load(clip_id: int) -> None:
            with Client(service.url, retries=0) as asking:
                while not stop.is_set():
                    answer = asking.captions_of(clip_id, 100)
                    with answered:
                        seen.append((answer.generation, len(answer.hits)))
                        answered.notify()

        with ThreadPoolExecutor() as pool:
            loads = [pool.submit(load, clip_id) for clip_id in (1, 2)]
            try:
                for i in range(4):
                    more = tmp_path / f"{i}.txt"
                    more.write_text(f"thing number {i} jumping\n", encoding="utf-8")
                    add_captions(world.library, more, FakeEncoder())
                    name = export_library(world.library, milvus_address).generation
                    expected[name] = 6 + i
                    # The load has to have met this generation before the next one comes.
                    with answered:
                        met = answered.wait_for(lambda name=name: any(answer[0] == name for answer in seen[-50:]), 60)
                    assert met, [future.exception() for future in loads if future.done()]
            finally:
                stop.set()
            for future in loads:
                future.result(30)
    assert {generation for generation, _ in seen} == set(expected)
    assert all(hits == expected[generation] for generation, hits in seen)


def test_the_model_changes_with_the_export(world: World, milvus_address: str) -> None:
    """Until the next export Milvus has the previous model, and its encoder goes on answering, also after a restart."""

    def load(settings: Settings, built: ModelInfo | None) -> FakeEncoder:
        assert built is not None
        return FakeEncoder(int(built.name.removeprefix("fake-")))

    def answered(engine: Engine) -> tuple[str, str]:
        with TestClient(create_app(settings, engine=engine)) as client:
            answer = client.post("/v1/search/clips", json={"query": "a red square sliding"})
            assert answer.status_code == 200 and answer.json()["hits"]
            return answer.json()["generation"], answer.json()["model_fingerprint"]

    export_library(world.library, milvus_address)
    settings = Settings(library=world.library, milvus=milvus_address, reload_interval=60)
    with closing(Engine.open(settings, None, load)) as engine:
        before = answered(engine)
        name = index_videos(world.library, [world.videos], FakeEncoder(1), to_model=True).generation
        engine.refresh()
        assert answered(engine) == before
        with closing(Engine.open(settings, None, load)) as restarted:
            assert answered(restarted) == before
        export_library(world.library, milvus_address)
        engine.refresh()
        assert answered(engine) == (name, "fake-1-16")


def test_the_command_line(world: World, milvus_address: str, tmp_path: Path) -> None:
    there = run("export", "--library", world.library, "--to", milvus_address)
    assert there.exit_code == 0, there.output
    assert "now has generation 000003, 5 clips, 5 captions." in words(there.output)
    again = run("export", "--library", world.library, "--to", milvus_address)
    assert "already had generation 000003" in words(again.output)
    line = json.loads(run("export", "--library", world.library, "--to", milvus_address, "--json").stdout)
    assert line.pop("event") == "export"
    assert Exported(**line) == Exported(generation="000003", clips=5, captions=5, written=False)
    for message, arguments in (
        ("Name the Milvus address", ("--library", world.library)),
        ("is not a Milvus address", ("--library", world.library, "--to", "http://localhost")),
        ("There is no library", ("--library", tmp_path / "none", "--to", milvus_address)),
    ):
        refused = run("export", *arguments)
        assert refused.exit_code and message in words(refused.output)


def test_searching_and_the_status_say_milvus(
    world: World, milvus_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    export_library(world.library, milvus_address)
    own = run("search", "a red square sliding", "--library", world.library, "--json")
    monkeypatch.setenv("QUARTET_MILVUS", milvus_address)
    found = run("search", "a red square sliding", "--library", world.library, "--json")
    assert without_times(json.loads(found.stdout)["hits"]) == without_times(json.loads(own.stdout)["hits"])
    shown = words(run("status", "--library", world.library).stdout)
    assert f"answers from {milvus_address}, generation 000003" in shown and "quartet export" not in shown
    (tmp_path / "more.txt").write_text("a thing\n")
    add_captions(world.library, tmp_path / "more.txt", FakeEncoder())
    assert "Milvus has another generation. Run `quartet export`." in words(
        run("status", "--library", world.library).stdout
    )
    status = json.loads(run("status", "--library", world.library, "--json").stdout)
    assert status["milvus"] == {"address": milvus_address, "generation": "000003"}


def test_a_library_at_home_in_milvus(world: World, client: TestClient, milvus_address: str, tmp_path: Path) -> None:
    """The command line makes it, and a service answers from it while it moves, as from the folder of another."""
    library = tmp_path / "home"
    made = run("index", world.videos, "--library", library, "--model", "fake", "--store", milvus_address)
    assert made.exit_code == 0, made.output
    assert run("captions", "add", world.captions, "--library", library).exit_code == 0
    status = json.loads(run("status", "--library", library, "--json").stdout)
    assert (status["store"], status["clips"]["searchable"]) == (milvus_address, 5)
    assert f"vectors in {milvus_address}" in words(run("status", "--library", library).stdout)
    elsewhere = run("index", world.videos, "--library", library, "--store", "folder")
    assert elsewhere.exit_code == 1 and "To move them, run: quartet store" in words(elsewhere.output)
    tuned = run("tune", "--library", library)
    assert tuned.exit_code == 1 and "there is nothing to tune" in words(tuned.output)

    asked = {"query": "a red square sliding", "k": 3}
    own = client.post("/v1/search/clips", json=asked).json()["hits"]
    settings = Settings(library=library, reload_interval=60)
    with (
        closing(Engine.open(settings, FakeEncoder())) as engine,
        TestClient(create_app(settings, engine=engine)) as there,
    ):
        for to in ("folder", milvus_address):
            found = there.post("/v1/search/clips", json=asked).json()
            assert without_times(found["hits"]) == without_times(own)
            moved = run("store", "--library", library, "--to", to)
            assert moved.exit_code == 0 and "are in" in words(moved.output), moved.output
            engine.refresh()
        found = there.post("/v1/search/clips", json=asked).json()
        assert (without_times(found["hits"]), found["generation"]) == (without_times(own), "000005")
    assert run("verify", "--library", library).exit_code == 0
