"""Killing and interrupting an indexing process: the library opens, the next run resumes, nothing is twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from indexer.ingest.index_run import index_videos
from indexer.store.layout import exists
from indexer.store.library import Library
from model.fake_encoder import FakeEncoder

MakeVideo = Callable[..., Path]
ROOT = Path(__file__).parents[3]

SCRIPT = """
import signal
import sys
from pathlib import Path
from indexer.ingest.index_run import index_videos
from model.fake_encoder import FakeEncoder

if __name__ == "__main__":
    # As in a terminal, also where the tests run in a shell's background, which ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    library, videos = map(Path, sys.argv[1:])

    def tell_and_wait(progress):
        print(progress.clips, flush=True)
        sys.stdin.readline()

    print(index_videos(library, [videos], FakeEncoder(), on_progress=tell_and_wait).interrupted)
"""


def test_killed_again_and_again_ends_in_the_same_library(
    tmp_path: Path, make_video: MakeVideo, colours: Sequence[tuple[int, int, int]]
) -> None:
    videos, library, script = tmp_path / "videos", tmp_path / "lib", tmp_path / "script.py"
    for i, colour in enumerate(colours[:12]):
        make_video(videos / f"{i:02d}.mp4", [colour] * 4)
    script.write_text(SCRIPT)
    done = 0
    for lines in (2, 5, 3):
        command = [sys.executable, str(script), str(library), str(videos)]
        with subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            for _ in range(lines):
                child.stdout.readline()
                child.stdin.write("\n")
                child.stdin.flush()
            # It is somewhere between this line and the next one, in the middle of a batch.
            child.send_signal(signal.SIGKILL)
        if exists(library):
            with Library.open(library) as opened:
                clips = opened.catalog.list_clips(limit=1000)
            assert len({clip.path for clip in clips}) == len(clips) >= done
            done = len(clips)
    assert 0 < done < 12, "the kills should fall between the first and the last video"
    encoder = FakeEncoder()
    report = index_videos(library, [videos], encoder)
    assert (report.unchanged, report.indexed) == (done, 12 - done)
    index_videos(tmp_path / "undisturbed", [videos], encoder)
    with Library.open(library) as killed, Library.open(tmp_path / "undisturbed") as calm:
        paths = [[clip.path for clip in each.catalog.list_clips(limit=1000)] for each in (killed, calm)]
        assert paths[0] == paths[1]
        rows = [each.current().clips.vectors(each.current().clips.ids) for each in (killed, calm)]
        assert all(np.array_equal(rows[0][name], rows[1][name]) for name in rows[0])


def test_ctrl_c_in_a_terminal_ends_every_process_in_good_order(
    tmp_path: Path, make_video: MakeVideo, colours: Sequence[tuple[int, int, int]]
) -> None:
    videos, library, script = tmp_path / "videos", tmp_path / "lib", tmp_path / "script.py"
    for i, colour in enumerate(colours[:3]):
        make_video(videos / f"{i:02d}.mp4", [colour] * 4)
    script.write_text(SCRIPT)
    # A session of its own, so that the signal reaches the child and its decoders alone, as from a terminal.
    with subprocess.Popen(
        [sys.executable, str(script), str(library), str(videos)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "0\n"
        os.killpg(child.pid, signal.SIGINT)
        # The pipes close, and this returns, only when the decoders have ended too.
        out, err = child.communicate()
    assert (child.returncode, out.splitlines()[-1], err) == (0, "True", "")
    report = index_videos(library, [videos], FakeEncoder())
    assert report.unchanged + report.indexed == report.clips_total == 3
