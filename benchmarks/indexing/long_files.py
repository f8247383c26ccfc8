"""How much memory it takes to read a long file: clips by clips, in windows and in shots.

    python -m benchmarks.indexing.long_files [--hours 3] [--frames 16]
    python -m benchmarks.indexing.long_files --index

The second indexes the file with the bundled model and the default settings: memory of the indexer and of its decoder.

The film of `benchmarks.indexing.seeking`, at two frames a second so that it does not take all day. Memory depends on
the size of the pictures and on the sampled frames, not on their rate. Each way runs in a process of its own, as the
indexer's decoding does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.indexing.seeking import write_film
from indexer.ingest.index_run import index_videos
from indexer.media.clip_reader import read_clips
from indexer.media.segmentation import Kind, Segmentation
from model.registry import load_encoder


def read(path: Path, count: int, kind: Kind) -> None:
    """Print a row: clips, seconds, and the largest resident memory of this process."""
    began = time.process_time()
    clips = sum(1 for _ in read_clips(path, count, Segmentation(kind)))
    print(f"| {kind} | {clips} | {time.process_time() - began:.0f} | {memory():.0f} |", flush=True)


def index(path: Path, library: Path, kind: Kind) -> None:
    """Print a row: clips, seconds by the clock, the largest resident memory of this process and of its decoder."""
    encoder = load_encoder("demo")
    decoder = [0.0]
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.2):
            decoder[0] = max([decoder[0], *(memory(child.pid) for child in multiprocessing.active_children())])

    looking = threading.Thread(target=look)
    looking.start()
    began = time.perf_counter()
    report = index_videos(library, [path], encoder, segmentation=Segmentation(kind))
    seconds = time.perf_counter() - began
    done.set()
    looking.join()
    print(f"| {kind} | {report.clips_total} | {seconds:.0f} | {memory():.0f} | {decoder[0]:.0f} |", flush=True)


def memory(process: int | None = None) -> float:
    """The largest resident memory of a process so far, in MiB; 0 if it has ended.

    Not from getrusage: that also counts the process that it was started by.
    """
    try:
        status = Path(f"/proc/{process or 'self'}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=3.0, help="length of the file")
    parser.add_argument("--frames", type=int, default=16, help="frames to sample from each clip")
    parser.add_argument("--index", action="store_true", help="index it with the bundled model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quartet-") as folder:
        path = Path(folder) / "film.mp4"
        write_film(path, round(60 * options.hours), rate=2)
        kinds: tuple[Kind, ...] = ("whole", "window", "shot")
        if options.index:
            print(f"A file of {options.hours:g} h, the bundled model\n")
            print("| segments | clips | s | memory MiB | of the decoder MiB |\n|---|---|---|---|---|")
        else:
            print(f"A file of {options.hours:g} h, {options.frames} frames a clip\n")
            print("| segments | clips | processor s | memory MiB |\n|---|---|---|---|")
        for kind in kinds:
            job = (index, (path, Path(folder) / kind, kind)) if options.index else (read, (path, options.frames, kind))
            process = multiprocessing.get_context("spawn").Process(target=job[0], args=job[1])
            process.start()
            process.join()


if __name__ == "__main__":
    main()
