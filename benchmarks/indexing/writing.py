"""How many files a second the one command that writes can take from a cluster: `python -m benchmarks.indexing.writing`.

Reports of files of one clip each (vectors of 4 x 256 numbers, a picture and a strip of the sizes of the demo library)
arrive as fast as they are taken, pickled as Ray sends them. What is measured is all that `quartet index --ray` does
with them: catalogue, pictures, the generation (docs/indexing.md).
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.machine import machine
from indexer.catalog.records import FileState, NewClip
from indexer.ingest.index_run import index_videos
from indexer.media.header import VideoInfo
from indexer.pipeline.contract import Job
from indexer.pipeline.file_outcomes import Encoded, Outcome
from indexer.pipeline.progress import Meter
from indexer.pipeline.ray_pipeline import checked_outcome
from indexer.pipeline.ray_worker import Report
from model.fake_encoder import FakeEncoder

_PICTURE, _STRIP = 3_300, 6_000
"""Bytes: 9,300 of both, as in the demo library."""

_INFO = VideoInfo(duration=10.0, fps=25.0, width=640, height=360, frames=250)


class Arriving:
    """A `Pipeline` of a cluster that never lets the writer wait."""

    lanes: Mapping[str, int] = {}

    def __init__(self, dim: int, seed: int) -> None:
        self._dim, self._rng = dim, np.random.default_rng(seed)
        self.making = 0.0

    def outcomes(self, jobs: Sequence[Job], meter: Meter) -> Generator[Outcome, None, None]:
        for number, job in enumerate(jobs):
            began = time.perf_counter()
            sent = pickle.dumps(Report("machine", self._outcome(job, number)))
            self.making += time.perf_counter() - began
            yield checked_outcome(pickle.loads(sent))

    def _outcome(self, job: Job, number: int) -> Outcome:
        rows = self._rng.standard_normal((4, self._dim), dtype=np.float32)
        vectors = dict(zip(("global", "entity", "action", "relation"), rows, strict=True))
        clip = NewClip(0.0, 10.0, vectors, self._rng.bytes(_PICTURE), self._rng.bytes(_STRIP))
        file = FileState(job.file.path, job.file.size, job.file.mtime, f"{number:064x}")
        cut = job.cut(file.sha256)
        assert cut is not None
        return Encoded(file, cut, _INFO, 0, [clip], 10.0)

    def close(self) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=4_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="where the library is made; by default a temporary folder")
    options = parser.parse_args()
    print(f"{machine()}; {options.files:,} files of one clip, 4 x {options.dim}, seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(dir=options.work) as temporary:
        videos = Path(temporary) / "videos"
        videos.mkdir()
        for number in range(options.files):
            (videos / f"{number}.mp4").write_bytes(b"video")
        pipeline = Arriving(options.dim, options.seed)
        began, cpu = time.perf_counter(), time.process_time()
        report = index_videos(
            Path(temporary) / "library", [videos], FakeEncoder(dim=options.dim), pipeline=pipeline, texts=False
        )
        took, worked = time.perf_counter() - began - pipeline.making, time.process_time() - cpu - pipeline.making
    assert report.indexed == options.files
    print(
        f"{took:.1f} s, {worked:.1f} s of a processor: {1000 * took / options.files:.2f} ms and "
        f"{1000 * worked / options.files:.2f} ms a file, {options.files / took:.0f} files/s"
    )


if __name__ == "__main__":
    main()
