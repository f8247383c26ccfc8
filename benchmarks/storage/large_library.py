"""What commands cost in a large library: seconds and memory of a build, and of small changes to what was built.

    python -m benchmarks.storage.large_library --work DIR --clips 1000000

The library is made in DIR (5.4 GB a million clips of 4 x 256, and as much again while it is built), with random vectors
and empty video files, ten clips each. Every command is a process of its own. Its memory is the most that was its own
(anonymous pages, sampled every 5 ms): mapped files are the kernel's to drop.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from indexer.catalog.records import FileState, NewClip
from indexer.catalog.schema import clips, open_database, staged, video_texts, videos
from indexer.catalog.writer import CatalogWriter
from indexer.disk.writer_lock import writer_lock
from indexer.ingest.index_run import index_videos
from indexer.media.header import VideoInfo
from indexer.store.library import Library
from indexer.store.management import remove_videos, tag_videos
from indexer.store.publishing import encode_again, publish_changes
from model.encoder import EncoderSpec
from model.fake_encoder import FakeEncoder

_FOLDER = 1000
"""Videos of a folder."""

_INFO = VideoInfo(duration=100.0, fps=25.0, width=640, height=360, frames=2500)
_SMALL = 16
"""Publications in a row of ten clips each."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--per-video", type=int, default=10)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", nargs="*", default=list(_STEPS))
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        _STEPS[options.step](_Made(options))
        return
    print("| command | s | processor s | own memory MB |\n|---|---|---|---|", flush=True)
    for step in options.steps:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.storage.large_library", *sys.argv[1:], "--step", step],
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        for line in done.stdout.splitlines():
            row = json.loads(line)
            print(f"| {row['what']} | {row['s']:.2f} | {row['cpu']:.2f} | {row['mb']:,.0f} |", flush=True)


class _Made:
    """The library and the videos of the options."""

    def __init__(self, options: argparse.Namespace) -> None:
        folder = options.work / f"large-{options.clips}-{options.per_video}-{options.dim}"
        folder.mkdir(parents=True, exist_ok=True)
        self.library, self.videos = folder / "library", folder / "videos"
        self.clips, self.per_video, self.dim, self.seed = options.clips, options.per_video, options.dim, options.seed
        self.encoder = FakeEncoder(dim=options.dim)

    @property
    def spec(self) -> EncoderSpec:
        return self.encoder.spec

    def vectors(self, rows: int, seed: int) -> np.ndarray:
        """(rows, L * d): every level of unit length."""
        made = np.random.default_rng([self.seed, seed]).standard_normal((rows, 4, self.dim), dtype=np.float32)
        made /= np.linalg.norm(made, axis=2, keepdims=True)
        return made.reshape(rows, -1)

    def file(self, number: int) -> Path:
        return self.videos / f"{number // _FOLDER:06d}" / f"{number}.mp4"

    def new_videos(self, count: int, seed: int) -> Iterator[tuple[FileState, list[NewClip]]]:
        """Files that are not in the library yet, each with its clips."""
        ends = np.cumsum([level.dim for level in self.spec.levels])
        for number in range(count // self.per_video):
            path = self.videos / "new" / f"{seed}-{number}.mp4"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"new")
            about = path.stat()
            own = []
            for i, row in enumerate(self.vectors(self.per_video, seed + number)):
                parts = np.split(row, ends[:-1])
                vectors = {level.name: part for level, part in zip(self.spec.levels, parts, strict=True)}
                own.append(NewClip(10.0 * i, 10.0 * i + 10, vectors, b"", b""))
            yield FileState(path, about.st_size, about.st_mtime, f"{seed + number:064x}"), own


def _make(made: _Made) -> None:
    """The catalogue and the videos, and the vectors as if they had just been encoded: in no generation yet."""
    Library.create(made.library, made.spec).close()
    with writer_lock(made.library), closing(CatalogWriter(made.library / "catalog.sqlite", made.spec.levels)) as writer:
        made.videos.mkdir(exist_ok=True)
        writer.add_root(made.videos)
        count = made.clips // made.per_video
        engine = open_database(made.library / "catalog.sqlite")
        for first in range(0, count, _FOLDER):
            numbers = range(first, min(first + _FOLDER, count))
            for number in numbers:
                made.file(number).parent.mkdir(exist_ok=True)
                with made.file(number).open("wb") as file:
                    file.truncate(number + 1)
            rows = [_video(made, number) for number in numbers]
            ids = range(first * made.per_video, numbers[-1] * made.per_video + made.per_video)
            packed = made.vectors(len(ids), first)
            with engine.begin() as connection:
                connection.execute(insert(videos), rows)
                of = [{"video_id": row["id"], "name": "", "size": row["size"], "mtime": row["mtime"]} for row in rows]
                connection.execute(insert(video_texts), of)
                connection.execute(
                    insert(clips),
                    [
                        {
                            "id": i + 1,
                            "video_id": i // made.per_video + 1,
                            "start": 10.0 * (i % made.per_video),
                            "end": 10.0 * (i % made.per_video) + 10,
                        }
                        for i in ids
                    ],
                )
                connection.execute(
                    insert(staged),
                    [
                        {"kind": "clips", "item_id": i + 1, "vectors": row.tobytes()}
                        for i, row in zip(ids, packed, strict=True)
                    ],
                )
        engine.dispose()


def _video(made: _Made, number: int) -> dict[str, Any]:
    path = made.file(number)
    values = {"duration": 100.0, "fps": 25.0, "width": 640, "height": 360, "segmentation": "window 10 0"}
    return {
        "id": number + 1,
        "root_id": 1,
        "relpath": str(path.relative_to(made.videos)),
        "title": path.stem,
        "size": number + 1,
        "mtime": path.stat().st_mtime,
        "sha256": f"{number:064x}",
        **values,
    }


def _build(made: _Made) -> None:
    with _measured(f"publish the first {made.clips:,} clips"):
        _publish(made)


def _publish(made: _Made) -> None:
    with (
        Library.open(made.library) as library,
        writer_lock(made.library),
        closing(CatalogWriter(library.catalog.path, made.spec.levels)) as writer,
    ):
        publish_changes(library, writer)


def _grow(made: _Made, count: int, seed: int) -> None:
    with (
        Library.open(made.library) as library,
        writer_lock(made.library),
        closing(CatalogWriter(library.catalog.path, made.spec.levels)) as writer,
    ):
        following = int(library.current().name) + 1
        for file, own in made.new_videos(count, seed):
            writer.add_video(file, _INFO, "window 10 0", own, following, lambda pictures: None)


def _add(made: _Made) -> None:
    _grow(made, 10_000, 10**8)
    with _measured("publish 10,000 new clips"):
        _publish(made)


def _add_few(made: _Made) -> None:
    with _measured(f"publish ten new clips, {_SMALL} times, each with their rows"):
        for i in range(_SMALL):
            _grow(made, 10, 2 * 10**8 + i * 1000)
            _publish(made)


def _tag(made: _Made) -> None:
    with _measured("tag one video"):
        tag_videos(made.library, [made.file(5)], add=["seen"])


def _unchanged_folder(made: _Made) -> None:
    with _measured(f"index a folder of {_FOLDER:,} unchanged videos"):
        report = index_videos(made.library, [made.file(0).parent], made.encoder)
    assert report.unchanged == _FOLDER


def _unchanged(made: _Made) -> None:
    count = made.clips // made.per_video
    with _measured(f"index all {count:,} unchanged videos"):
        report = index_videos(made.library, [made.videos], made.encoder, texts=False)
    assert report.unchanged >= count, report


def _unchanged_texts(made: _Made) -> None:
    with _measured("the same, with a look for new texts"):
        index_videos(made.library, [made.videos], made.encoder)


def _remove(made: _Made) -> None:
    with _measured("remove one video"):
        remove_videos(made.library, [made.file(7)])


def _erase(made: _Made) -> None:
    with _measured("erase it from the files"):
        remove_videos(made.library, [], erase_now=True)


def _rebuild(made: _Made) -> None:
    with _measured("learn new codebooks (quartet tune)"):
        encode_again(made.library, 200_000)


def _segments(made: _Made) -> None:
    with Library.open(made.library) as library:
        gallery = library.current().clips
        print([len(s) for s in gallery.segments], len(gallery), file=sys.stderr)


_STEPS: dict[str, Callable[[_Made], None]] = {
    "make": _make,
    "build": _build,
    "add": _add,
    "few": _add_few,
    "tag": _tag,
    "unchanged-folder": _unchanged_folder,
    "unchanged": _unchanged,
    "unchanged-texts": _unchanged_texts,
    "remove": _remove,
    "erase": _erase,
    "rebuild": _rebuild,
    "segments": _segments,
}


@contextmanager
def _measured(what: str) -> Iterator[None]:
    """Print what the block takes as a line of JSON."""
    ended, most = threading.Event(), [0]

    def sample() -> None:
        while True:
            with Path("/proc/self/status").open() as status:
                own = next(line for line in status if line.startswith("RssAnon"))
            most[0] = max(most[0], int(own.split()[1]))
            if ended.wait(0.005):
                return

    sampler = threading.Thread(target=sample)
    sampler.start()
    began, cpu = time.perf_counter(), _cpu()
    try:
        yield
    finally:
        took, worked = time.perf_counter() - began, _cpu() - cpu
        ended.set()
        sampler.join()
    print(json.dumps({"what": what, "s": took, "cpu": worked, "mb": most[0] / 1e3}), flush=True)


def _cpu() -> float:
    """Seconds of this process and of those that it started, such as the one that reads a large catalogue."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
