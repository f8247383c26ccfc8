"""Kills indexing runs at seeded moments until enough were killed, in one process that is warm and forks: a run then
costs milliseconds. `python kill_runs.py FOLDER KILLS SEED` prints what test_kills.py asserts, as JSON.

A moment is the n-th call or return of any Python or C function in any thread of the run, so that it is the same on
every machine up to the order of its threads. Decoding is a stand-in (`benchmarks.storage.stand_in_videos`): what is
tried out here is what happens to what has been decoded.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np

from benchmarks.storage.stand_in_videos import clips_in, decode_stand_ins, write_stand_in
from indexer.ingest.index_run import index_videos
from indexer.store.layout import exists
from indexer.store.library import Library
from indexer.store.verification import verify_library
from model.fake_encoder import FakeEncoder

FILES = 24


class Media:
    """The folder of videos, which changes between rounds of kills."""

    def __init__(self, folder: Path, rng: np.random.Generator) -> None:
        self.folder = folder
        self._rng = rng
        self._made = 0
        folder.mkdir(parents=True)
        for _ in range(FILES):
            self._add()

    def _add(self) -> None:
        self._write(self.folder / f"{self._made:04d}.mp4")

    def _write(self, path: Path) -> None:
        write_stand_in(path, self._made)
        self._made += 1

    def change(self) -> None:
        """New files come, one is renamed, one replaced, one deleted and one takes the place of another."""
        for _ in range(5):
            self._add()
        renamed, replaced, deleted, mover, place = self._rng.permutation(sorted(self.folder.iterdir()))[:5]
        renamed.rename(renamed.with_name(f"{self._made:04d}-renamed.mp4"))
        self._write(replaced)
        deleted.unlink()
        mover.replace(place)


def run(library: Path, media: Path, moment: int | None) -> int | None:
    """Index in a child that kills itself at a moment; returns how many moments it had, None if it was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Whatever happens here must not go on as a second parent.
        code = 1
        try:
            count = itertools.count(1)

            def tick(*_: object) -> None:
                if next(count) == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

            threading.setprofile(tick)
            sys.setprofile(tick)
            index_videos(library, [media], FakeEncoder(), workers=2)
            sys.setprofile(None)
            os.write(writer, str(next(count)).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None
    if status:
        raise RuntimeError("A run failed by itself.")
    return int(said)


def vectors(library: Path) -> dict[str, list[str]]:
    """Per file name, the vectors of its clips."""
    found: dict[str, list[str]] = {}
    with Library.open(library) as opened:
        gallery = opened.current().clips
        clips = opened.catalog.list_clips(limit=None)
        assert gallery.ids.tolist() == [clip.id for clip in clips]
        for clip in clips:
            rows = gallery.vectors([clip.id])
            packed = b"".join(rows[name].tobytes() for name in sorted(rows)).hex()
            found.setdefault(clip.path.name, []).append(packed)
    return found


def check_opens(library: Path) -> None:
    """What a reader does after a kill: open, and look up every clip of the live generation."""
    if exists(library):
        with Library.open(library) as opened:
            ids = opened.current().clips.ids.tolist()
            assert set(opened.catalog.clips(ids)) == set(ids)
            for clip_id in ids:
                opened.thumbnail(clip_id)


def unfinished(library: Path) -> int:
    """Clips of files that a run has been killed in."""
    if not exists(library):
        return 0
    with Library.open(library) as opened:
        return opened.catalog.counts().unfinished


def main(folder: Path, kills: int, seed: int) -> None:
    decode_stand_ins()
    rng = np.random.default_rng(seed)
    media, library = Media(folder / "media", rng), folder / "library"
    moments = run(folder / "measured", media.folder, None)
    assert moments is not None
    killed, rounds, resumed, published = 0, 0, 0, set()
    # The first run has decoded and encoded everything when it is killed: what the next ones do is mostly publishing.
    moment = int(0.92 * moments)
    while killed < kills:
        if run(library, media.folder, moment) is None:
            killed += 1
        else:
            media.change()
            rounds += 1
        check_opens(library)
        resumed += unfinished(library) > 0
        published.update(path.name for path in library.glob("generations/*"))
        # Most are short, so that many runs share the work.
        longest = moments // 4 if rng.random() < 0.8 else moments
        moment = int(rng.integers(1, longest))
    last = run(library, media.folder, None)
    run(folder / "undisturbed", media.folder, None)
    killed_library, calm = vectors(library), vectors(folder / "undisturbed")
    left = sorted(media.folder.iterdir())
    print(
        json.dumps(
            {
                "killed": killed,
                "rounds": rounds,
                "left_by_kills": sorted(name for name in published if name.startswith(".")),
                "completed": last is not None,
                "files": len(left),
                "each_clip_once": all(len(killed_library[path.name]) == clips_in(path) for path in left),
                "stopped_in_a_file": resumed,
                "unfinished": unfinished(library),
                "same_files": sorted(killed_library) == [path.name for path in left],
                "same_vectors": killed_library == calm,
                "problems": [problem.detail for problem in verify_library(library, content=True)],
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
