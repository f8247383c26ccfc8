"""Demo clips as files: H.264 MP4s and a JSONL file of captions, rendered by several processes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from demo.captions import captions
from demo.render import HEIGHT, WIDTH, render_frames
from demo.world import ClipSpec, Split, sample_split

FPS = 15
CAPTIONS_FILE = "captions.jsonl"


def write_clip(spec: ClipSpec, path: Path) -> None:
    """Render one clip to an H.264 MP4 that any browser plays. The file appears whole or not at all."""
    import av

    frames = render_frames(spec, np.linspace(0, 1, round(spec.duration * FPS)))
    part = path.with_suffix(".part.mp4")
    # bitexact leaves the library version out of the file, so that a seed gives one file everywhere.
    with av.open(str(part), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "20", "g": "30"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    part.replace(path)


def video_name(split: Split, number: int) -> str:
    """File name of the `number`-th clip of a split."""
    return f"{split}-{number:04d}.mp4"


def write_videos(
    folder: Path, split: Split, count: int, seed: int, workers: int | None = None
) -> Iterator[tuple[int, int]]:
    """Write `count` clips of a split to `folder`/videos and their captions next to it; yields (done, total).

    Clips that exist are kept. `captions.jsonl` holds one {"video", "captions", "split"} object per clip.
    """
    videos = folder / "videos"
    videos.mkdir(parents=True, exist_ok=True)
    specs = sample_split(split, count, seed)
    write_captions(folder / CAPTIONS_FILE, split, specs)
    paths = [videos / video_name(split, i) for i in range(count)]
    missing = [(spec, path) for spec, path in zip(specs, paths, strict=True) if not path.exists()]
    done = count - len(missing)
    yield done, count
    if not missing:
        return
    with ProcessPoolExecutor(workers or os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(write_clip, spec, path) for spec, path in missing]):
            future.result()
            done += 1
            yield done, count


def write_captions(path: Path, split: Split, specs: list[ClipSpec]) -> None:
    """The captions of a split in the project's JSONL dataset format, one clip per line."""
    lines = [
        json.dumps({"video": video_name(split, i), "captions": captions(spec), "split": split})
        for i, spec in enumerate(specs)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
