"""A small library of real H.264 files, indexed with the fake encoder, and a client of the application."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import pytest
from fastapi.testclient import TestClient

from indexer.ingest.index_run import index_videos
from indexer.media.segmentation import Segmentation
from indexer.store.management import tag_videos
from indexer.texts.captions import add_captions
from model.fake_encoder import FakeEncoder
from service.http.app import create_app
from service.jobs import job_queue
from service.jobs.job import Job
from service.settings import Settings

COLOURS = {
    "red": (200, 40, 40),
    "green": (40, 180, 60),
    "blue": (40, 70, 210),
    "yellow": (220, 200, 40),
    "grey": (120, 120, 120),
}
PART = 2.0
"""Seconds of each clip of the film."""
TEXTS = {name: f"a {name} square sliding past a wall" for name in COLOURS}


def write_video(path: Path, colour: tuple[int, int, int], frames: int = 12, rate: int = 8) -> None:
    """A square of one colour that slides over a dark ground: H.264, 160x120."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for i in range(frames):
            picture = np.full((120, 160, 3), 30, np.uint8)
            left = 8 * i
            picture[30:90, left : left + 60] = colour
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def write_film(path: Path) -> None:
    """Three scenes of `PART` seconds, each of another colour, a frame every eighth of a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8, options={"g": "8"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for colour in ("red", "green", "blue"):
            for i in range(int(8 * PART)):
                picture = np.full((120, 160, 3), 30, np.uint8)
                picture[30:90, 4 * i : 4 * i + 60] = COLOURS[colour]
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


@dataclass(frozen=True)
class World:
    """Where the videos, the caption file and the library are, and the caption of each video by its title."""

    videos: Path
    captions: Path
    library: Path
    texts: dict[str, str]


@pytest.fixture(scope="session")
def built_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Made once; tests that change it use `world`."""
    folder = tmp_path_factory.mktemp("world")
    world = World(folder / "videos", folder / "captions.jsonl", folder / "library", TEXTS)
    world.videos.mkdir()
    for name, colour in COLOURS.items():
        write_video(world.videos / f"{name}.mp4", colour)
    (world.videos / "empty.mp4").touch()
    (world.videos / "no [b]markup.mp4").write_text("words", encoding="utf-8")
    lines = [json.dumps({"video": f"{title}.mp4", "caption": text}) for title, text in TEXTS.items()]
    world.captions.write_text("\n".join(lines) + "\n", encoding="utf-8")
    encoder = FakeEncoder()
    index_videos(world.library, [world.videos], encoder)
    add_captions(world.library, world.captions, encoder)
    return world


@pytest.fixture(scope="session")
def films(built_world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The library of `built_world` and, in it, a film of three clips. Tags: warm red and yellow, dull grey and film."""
    folder = tmp_path_factory.mktemp("films")
    library, videos = folder / "library", folder / "films"
    shutil.copytree(built_world.library, library)
    videos.mkdir()
    write_film(videos / "film.mp4")
    index_videos(library, [videos], FakeEncoder(), segmentation=Segmentation("window", window=PART, overlap=0))
    tag_videos(library, [built_world.videos / "red.mp4", built_world.videos / "yellow.mp4"], ["warm"], [])
    tag_videos(library, [built_world.videos / "grey.mp4", videos], ["dull"], [])
    tag_videos(library, [videos], ["a film"], [])
    return replace(built_world, library=library)


@pytest.fixture
def world(built_world: World, tmp_path: Path) -> World:
    """A copy of the library that a test may change. The videos are shared."""
    library = tmp_path / "library"
    shutil.copytree(built_world.library, library)
    return replace(built_world, library=library)


@pytest.fixture(scope="session")
def client(built_world: World) -> Iterator[TestClient]:
    """A client of the application over the shared library, which it does not change."""
    app = create_app(Settings(library=built_world.library, max_upload_bytes=200_000), FakeEncoder())
    with TestClient(app) as client:
        yield client


@pytest.fixture
def commands_of_jobs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that jobs run, in a list; instead of each a process writes what it would say, at once."""
    command_of, commands = job_queue.command_of, []
    results = {
        "repair": {"event": "repair", "healed": ["A picture."], "lost": [], "encoded": 0, "generation": "000003"},
        "tune": {"event": "tuning", "generation": "000003", "galleries": {"clips": None, "captions": "PQ, 4 bits"}},
        "relocate": {"event": "relocation", "root": "videos"},
        "export": {"event": "export", "generation": "000002", "clips": 5, "captions": 5, "written": True},
    }

    def stand_in(job: Job, settings: Settings) -> list[str]:
        commands.append(command_of(job, settings)[4:])
        return ["echo", json.dumps(results[job.kind])]

    monkeypatch.setattr(job_queue, "command_of", stand_in)
    return commands


@pytest.fixture
def make_video() -> Callable[..., None]:
    """`write_video`, for tests that need a file of their own."""
    return write_video
