"""How much memory it takes to read a long file: clips by clips, in windows and in shots.

    python -m benchmarks.long_files [--hours 3] [--frames 16]

The film of `benchmarks.seeking`, at two frames a second so that it does not take all day; memory depends on the
size of the pictures and on the sampled frames, not on their rate. Each way runs in a process of its own, as the
indexer's decoding does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.seeking import write_film
from indexer.decode import read_clips
from indexer.spans import Kind, Segmentation


def read(path: Path, count: int, kind: Kind) -> None:
    """Print a row: clips, seconds, and the largest resident memory of this process."""
    began = time.process_time()
    clips = sum(1 for _ in read_clips(path, count, Segmentation(kind)))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"| {kind} | {clips} | {time.process_time() - began:.0f} | {most:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=3.0, help="length of the file")
    parser.add_argument("--frames", type=int, default=16, help="frames to sample from each clip")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quartet-") as folder:
        path = Path(folder) / "film.mp4"
        write_film(path, round(60 * options.hours), rate=2)
        print(f"A file of {options.hours:g} h, {options.frames} frames a clip\n")
        print("| segments | clips | processor s | memory MiB |\n|---|---|---|---|")
        kinds: tuple[Kind, ...] = ("whole", "window", "shot")
        for kind in kinds:
            process = multiprocessing.get_context("spawn").Process(target=read, args=(path, options.frames, kind))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
