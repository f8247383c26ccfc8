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

from indexer.decode import sample_frames
from indexer.workers import DecodePool
from model.errors import VideoError

MakeVideo = Callable[..., Path]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def video(tmp_path: Path, make_video: MakeVideo) -> Path:
    return make_video(tmp_path / "v.mp4", [(200, 30, 90)] * 6)


def test_gives_what_decoding_here_gives(video: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"")
    pool = DecodePool()
    decoded = pool.decode(video, 3)
    here = sample_frames(video, 3)
    assert np.array_equal(decoded.clip.frames, here.frames)
    assert decoded.clip.info == here.info
    assert decoded.picture[8:12] == b"WEBP"
    with pytest.raises(VideoError) as caught:
        pool.decode(tmp_path / "bad.mp4", 3)
    assert caught.value.reason == "empty-file"
    pool.close()
    assert multiprocessing.active_children() == []


def test_a_dead_process_costs_one_file(video: Path) -> None:
    pool = DecodePool()
    pool.decode(video, 1)
    (child,) = multiprocessing.active_children()
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(VideoError, match="crashed"):
        pool.decode(video, 1)
    assert len(pool.decode(video, 1).clip.frames) == 1
    pool.close()


def test_a_file_that_takes_too_long_is_given_up(video: Path) -> None:
    pool = DecodePool(limit=0.0)
    with pytest.raises(VideoError, match="nothing for 0 s") as caught:
        pool.decode(video, 1)
    assert caught.value.reason == "unreadable"
    pool.close()
    assert multiprocessing.active_children() == []


def test_a_script_without_a_guard_is_told_so(tmp_path: Path, video: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import pathlib\nfrom indexer.workers import DecodePool\n"
        f"pool = DecodePool()\ntry:\n    pool.decode(pathlib.Path({str(video)!r}), 1)\nfinally:\n    pool.close()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "must do so under `if __name__" in result.stderr.splitlines()[-1]
