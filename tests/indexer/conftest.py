"""Small videos to index, made as the tests run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.storage.stand_in_videos import StandInPool, write_stand_in
from indexer.media.clip_reader import read_clips
from indexer.media.decode_pool import DecodedClip, DecodePool
from indexer.media.segmentation import WHOLE, Segmentation
from indexer.media.thumbnails import strip, thumbnail
from model.fake_encoder import FakeEncoder
from tests.indexer.engines import FILES, Engine, MilvusGalleries
from tests.milvus_server import MilvusServer

Colour = tuple[int, int, int]
MakeVideo = Callable[..., Path]

COLOURS: tuple[Colour, ...] = tuple((r, g, b) for r in (30, 128, 225) for g in (30, 128, 225) for b in (30, 225))


@pytest.fixture(scope="session")
def colours() -> Sequence[Colour]:
    """Colours that the fake encoder tells apart."""
    return COLOURS


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture(scope="session")
def make_video() -> MakeVideo:
    """make_video(path, colours, ...) writes an H.264 file with one frame per colour."""

    def make(
        path: Path,
        colours: Sequence[Colour],
        fps: int = 10,
        size: tuple[int, int] = (64, 48),
        pixels: str = "yuv420p",
        options: dict[str, str] | None = None,
        container: dict[str, str] | None = None,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", options=container or {}) as output:
            stream = output.add_stream("libx264", rate=fps, options={"crf": "10", **(options or {})})
            stream.width, stream.height = size
            stream.pix_fmt = pixels
            for colour in colours:
                picture = np.full((size[1], size[0], 3), colour, dtype=np.uint8)
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            output.mux(stream.encode(None))
        return path

    return make


@pytest.fixture(scope="session")
def milvus_lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusGalleries]:
    """One for all tests of galleries in it: it takes a while to start."""
    pytest.importorskip("milvus_lite")
    from milvus_lite.server_manager import server_manager_instance

    lite = MilvusGalleries(f"milvus://{tmp_path_factory.mktemp('milvus')}/galleries.db")
    yield lite
    lite.close()
    server_manager_instance.release_server(lite.address.uri)


@pytest.fixture(scope="session")
def on_milvus_server(milvus_server: MilvusServer) -> Iterator[MilvusGalleries]:
    galleries = MilvusGalleries(milvus_server.address("galleries"))
    yield galleries
    galleries.close()


@pytest.fixture(scope="session")
def milvus(milvus_lite: MilvusGalleries) -> Engine:
    return Engine("milvus", milvus_lite.make, scans=False)


@pytest.fixture(scope="session", params=["files", "milvus", "milvus server"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Every engine that answers questions, one after the other."""
    if request.param == "files":
        return FILES
    if request.param == "milvus":
        return request.getfixturevalue("milvus")
    galleries: MilvusGalleries = request.getfixturevalue("on_milvus_server")
    return Engine("milvus server", galleries.make, scans=False)


class PoolWithoutProcesses(DecodePool):
    """Decodes in its threads."""

    def clips(
        self, path: Path, count: int, segmentation: Segmentation = WHOLE, skip: int = 0
    ) -> Generator[DecodedClip, None, None]:
        for clip in read_clips(path, count, segmentation, skip=skip):
            yield DecodedClip(clip, thumbnail(clip.frames), strip(clip.frames))


@pytest.fixture
def decoding_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the start of a process where decoding is not what is tested."""
    monkeypatch.setattr("indexer.pipeline.local_pipeline.DecodePool", PoolWithoutProcesses)


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files that stand in for videos: 1, 2, 4 and 5 are one clip each, 3 is seven. Nothing is decoded."""
    monkeypatch.setattr("indexer.pipeline.local_pipeline.DecodePool", StandInPool)
    for number in range(1, 6):
        write_stand_in(tmp_path / "media" / f"{number}.mp4", number)
    return tmp_path / "media"


@pytest.fixture
def videos(tmp_path: Path, make_video: MakeVideo) -> Path:
    """A folder with five videos of one colour each, two of them in a subfolder."""
    folder = tmp_path / "videos"
    for i, name in enumerate(("a.mp4", "b.mp4", "c.mp4", "more/d.mp4", "more/e.mp4")):
        make_video(folder / name, [COLOURS[i]] * 6)
    return folder


@pytest.fixture
def sound_file(tmp_path: Path) -> Path:
    """An MP4 with a second of silence and no pictures."""
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path
