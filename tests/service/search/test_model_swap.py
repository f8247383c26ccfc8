"""A service whose library is changed to another model: it switches by itself, and no request notices."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from fastapi.testclient import TestClient

from indexer.ingest.index_run import index_videos
from indexer.store.manifest import ModelInfo
from model.fake_encoder import FakeEncoder
from quartet.client import Client
from quartet.errors import ModelError
from service.encoders.encoder_processes import EncoderProcesses
from service.http.app import create_app
from service.search.engine import Engine
from service.settings import Settings
from tests.service.running import SECONDS, running

if TYPE_CHECKING:
    from tests.service.conftest import World


def fake(settings: Settings, built: ModelInfo | None) -> FakeEncoder:
    """The fake that made a generation."""
    assert built is not None
    return made_by(int(built.name.removeprefix("fake-")))


def made_by(seed: int) -> FakeEncoder:
    return FakeEncoder(seed, dim=16 + 8 * seed)


def changed(world: World, seed: int) -> str:
    return index_videos(world.library, [world.videos], made_by(seed), to_model=True).generation


def test_models_change_under_load(world: World) -> None:
    """Answers before, after and in between come from a generation and the model that made it."""
    seen: list[tuple[str, str]] = []
    stop = threading.Event()
    settings = Settings(library=world.library, reload_interval=0.01, workers=2)
    with running(settings, made_by(0), load=fake) as service:

        def load(clip_id: int) -> None:
            with Client(service.url, retries=0) as client:
                while not stop.is_set():
                    told = client.captions_of(clip_id, 100)
                    both = client.search_many(["a red square sliding", "a grey wall"], 3)
                    alike = client.similar(clip_id, 3)
                    assert (both[0].generation, both[0].model_fingerprint) == (
                        both[1].generation,
                        both[1].model_fingerprint,
                    )
                    for answer in (told, *both, alike):
                        assert answer.hits
                        seen.append((answer.generation, answer.model_fingerprint))

        with ThreadPoolExecutor() as pool:
            asking = [pool.submit(load, clip_id) for clip_id in (1, 2, 3)]
            for seed in (1, 0, 2):
                name = changed(world, seed)
                deadline = time.monotonic() + SECONDS
                while not any(generation == name for generation, _ in seen[-50:]):
                    assert not any(future.done() for future in asking), [f.exception() for f in asking if f.done()]
                    assert time.monotonic() < deadline, service.engine.live.trouble
            stop.set()
            for future in asking:
                future.result(SECONDS)
        assert service.engine.live.failures == 0
    models = {generation: {model for own, model in seen if own == generation} for generation, _ in seen}
    assert all(len(own) == 1 for own in models.values())
    assert {model for own in models.values() for model in own} == {"fake-0-16", "fake-1-24", "fake-2-32"}


def test_what_the_service_tells_of_a_model(world: World) -> None:
    settings = Settings(library=world.library, reload_interval=60, model="fake")
    with (
        closing(Engine.open(settings, made_by(0), fake)) as engine,
        TestClient(create_app(settings, engine=engine)) as client,
    ):
        assert engine.named_model == "fake"
        upload = client.post("/v1/search/uploads", files={"file": (world.videos / "red.mp4").read_bytes()}).json()[
            "upload"
        ]
        asked = {"parts": [{"upload": upload}]}
        assert client.post("/v1/search/clips", json=asked).status_code == 200
        changed(world, 1)
        engine.refresh()
        assert client.get("/readyz").json()["model"]["name"] == "fake-1"
        assert (
            'quartet_model_info{fingerprint="fake-1-24",library="default",name="fake-1"} 1.0'
            in client.get("/metrics").text
        )
        assert client.post("/v1/embeddings", json={"input": "a"}).json()["model"] == "fake-1"
        # Its vectors are the other model's.
        assert client.post("/v1/search/clips", json=asked).status_code == 404
        assert engine.named_model is None, "jobs use the model of the library from now on"


def test_a_model_that_is_not_there_leaves_the_one_before(world: World) -> None:
    def missing(settings: Settings, built: ModelInfo | None) -> FakeEncoder:
        raise ModelError("The weights are not on this machine.")

    settings = Settings(library=world.library, reload_interval=60)
    with (
        closing(Engine.open(settings, made_by(0), missing)) as engine,
        TestClient(create_app(settings, engine=engine)) as client,
    ):
        before = engine.generation().name
        changed(world, 1)
        for _ in range(2):
            engine.refresh()
            answer = client.post("/v1/search/clips", json={"query": "a red square"})
            assert (answer.status_code, answer.json()["generation"]) == (200, before)
            (warning,) = client.get("/readyz").json()["warnings"]
            assert "'fake-1', which cannot be loaded here: The weights are not" in warning


def test_the_processes_of_the_model_before_end_when_nobody_asks_it(world: World) -> None:
    def load(settings: Settings, built: ModelInfo | None) -> EncoderProcesses:
        assert built is not None
        return EncoderProcesses(partial(made_by, int(built.name[-1])), 1)

    settings = Settings(library=world.library, reload_interval=60, workers=1)
    with closing(Engine.open(settings, None, load)) as engine:
        first = engine.live.model.encoder
        assert isinstance(first, EncoderProcesses)
        with engine.one_model() as held:
            changed(world, 1)
            engine.refresh()
            assert engine.live.current().model.name == "fake-1"
            assert first.alive == 1, "somebody still asks it"
            assert held.spec.name == "fake-0" == engine.spec.name
        assert first.alive == 0
        assert engine.encoders == 1 and engine.spec.name == "fake-1"


def test_a_service_starts_with_the_model_of_the_library(world: World) -> None:
    changed(world, 1)
    with closing(Engine.open(Settings(library=world.library), None, fake)) as engine:
        assert engine.spec.name == "fake-1"
