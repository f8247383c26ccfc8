"""Decoding in other processes: one bad file costs that file alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from indexer.media import decode_pool as workers
from indexer.media.clip_reader import read_clips, sample_frames
from indexer.media.decode_limits import UNLIMITED
from indexer.media.decode_pool import DecodePool
from indexer.media.segmentation import Segmentation
from quartet.errors import VideoError

MakeVideo = Callable[..., Path]
ROOT = Path(__file__).parents[3]


@pytest.fixture
def video(tmp_path: Path, make_video: MakeVideo) -> Path:
    return make_video(tmp_path / "v.mp4", [(200, 30, 90)] * 6)


def test_gives_what_decoding_here_gives(video: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"")
    pool = DecodePool()
    (decoded,) = pool.clips(video, 3)
    here = sample_frames(video, 3)
    assert np.array_equal(decoded.clip.frames, here.frames)
    assert decoded.clip.info == here.info
    assert decoded.picture[8:12] == b"WEBP"
    with pytest.raises(VideoError) as caught:
        next(pool.clips(tmp_path / "bad.mp4", 3))
    assert caught.value.reason == "empty-file"
    pool.close()
    assert multiprocessing.active_children() == []


def test_the_clips_of_a_file_come_one_after_the_other(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "v.mp4", [(10 + i, 90, 200 - i) for i in range(100)])
    windows = Segmentation("window", window=1.0, overlap=0.5)
    pool = DecodePool()
    here = list(read_clips(path, 2, windows))
    there = list(pool.clips(path, 2, windows))
    assert [item.clip.span for item in there] == [clip.span for clip in here]
    assert all(np.array_equal(item.clip.frames, clip.frames) for item, clip in zip(there, here, strict=True))
    # Who stops in the middle of a file gives it up, and the next one is not mixed with it.
    begun = pool.clips(path, 2, windows)
    next(begun)
    begun.close()
    assert len(list(pool.clips(path, 2))) == 1
    pool.close()
    assert multiprocessing.active_children() == []


STAND_IN = """
import os, signal, sys, time
from pathlib import Path
from indexer.media import decode_pool as workers
from indexer.media.clip_reader import read_clips

def stand_in(path, count, segmentation, alive, **options):
    if "crash" in path.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    while "hang" in path.name:
        time.sleep(60)
    yield from read_clips(path, count, segmentation, alive, **options)

workers.read_clips = stand_in

if __name__ == "__main__":
    pool = workers.DecodePool(limit=3.0)
    for name in sys.argv[1:]:
        try:
            print(len(list(pool.clips(Path(name), 2))))
        except workers.VideoError as error:
            print(error.reason, error.detail)
    pool.close()
"""


def test_a_decoder_that_crashes_or_hangs_costs_that_file_alone(tmp_path: Path, video: Path) -> None:
    """The decoder of the child processes is replaced by one that fails as decoders do."""
    script = tmp_path / "script.py"
    script.write_text(STAND_IN)
    names = [str(video), "crash.mp4", str(video), "hang.mp4", str(video)]
    result = subprocess.run(
        [sys.executable, str(script), *names],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines() == [
        "1",
        "unreadable The decoder crashed on this file.",
        "1",
        "unreadable The decoder did nothing for 3 s. Quartet stopped decoding it.",
        "1",
    ]


def test_a_slow_decoder_gives_signs_of_life(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []

    class Pipe:
        def send(self, answer: object) -> None:
            sent.append(answer)

    monkeypatch.setattr(workers, "_SIGN", -1.0)
    task = workers._Task(video, 1, Segmentation(), 0, UNLIMITED)
    assert workers._answer(Pipe(), task) == workers._COMPLETE  # type: ignore[arg-type]
    assert sent[0] == workers._SIGN_OF_LIFE
    assert isinstance(sent[-1], workers.DecodedClip)


def test_a_dead_process_costs_one_file(video: Path) -> None:
    pool = DecodePool()
    list(pool.clips(video, 1))
    (child,) = multiprocessing.active_children()
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(VideoError, match="crashed"):
        list(pool.clips(video, 1))
    assert len(list(pool.clips(video, 1))) == 1
    pool.close()


def test_a_file_that_takes_too_long_is_given_up(video: Path) -> None:
    pool = DecodePool(limit=0.0)
    with pytest.raises(VideoError, match="nothing for 0 s") as caught:
        list(pool.clips(video, 1))
    assert caught.value.reason == "unreadable"
    pool.close()
    assert multiprocessing.active_children() == []


def test_a_script_without_a_guard_is_told_so(tmp_path: Path, video: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import pathlib\nfrom indexer.media.decode_pool import DecodePool\npool = DecodePool()\n"
        f"try:\n    list(pool.clips(pathlib.Path({str(video)!r}), 1))\nfinally:\n    pool.close()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "must index videos under `if __name__" in result.stderr.splitlines()[-1]


FIRST = """
import multiprocessing, re, signal
from contextlib import suppress
from pathlib import Path
from indexer.media.decode_pool import DecodePool
from quartet.errors import VideoError

if __name__ == "__main__":
    pool = DecodePool()
    with suppress(VideoError):
        next(pool.clips(Path("none.mp4"), 1))
    (child,) = multiprocessing.active_children()
    blocked = re.search(r"SigBlk:\\s*(\\w+)", Path(f"/proc/{child.pid}/status").read_text())[1]
    print(bool(int(blocked, 16) & 1 << (signal.SIGINT - 1)))
    pool.close()
"""


def test_the_first_process_too_leaves_ctrl_c_to_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(FIRST)
    # A fresh interpreter: the first process that it spawns has multiprocessing start its resource tracker before.
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
