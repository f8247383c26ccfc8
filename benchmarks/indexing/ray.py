"""What a Ray cluster of one machine costs versus no cluster: `python -m benchmarks.indexing.ray` (docs/indexing.md).

The demo world is indexed with the demo model by both pipelines, in a new library each; loading the model into this
process and rendering are not part of it. On one machine there is nothing to win: what is measured is what Ray adds,
once until the first file is done (its workers start and load the model), and from then on.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks.machine import machine
from demo.video import write_videos
from indexer.ingest.index_run import index_videos
from indexer.pipeline.contract import Pipeline
from indexer.pipeline.local_pipeline import LocalPipeline
from indexer.pipeline.progress import Progress
from indexer.pipeline.ray_pipeline import RayPipeline
from model.encoder import Encoder
from model.registry import load_encoder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=240)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    encoder = load_encoder("demo", "cpu")
    print(
        f"{machine()}; {options.clips} demo clips, seed {options.seed}; {options.workers} decoding at a time",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for _ in write_videos(folder, "test", options.clips, seed=options.seed, workers=1):
            pass
        print("\n| | until the first file, s | the rest, s | together, s |\n|---|---|---|---|")
        here = _index(folder, "local", encoder, LocalPipeline(encoder, options.workers))
        began = time.perf_counter()
        load = partial(load_encoder, "demo", "cpu")
        there = RayPipeline("local", load, encoder.spec.fingerprint, workers=options.workers)
        start = time.perf_counter() - began
        name = f"Ray, workers: {there.lanes['encode']}"
        on_ray = _index(folder, name, encoder, there)
    ratios = [ray / local for ray, local in zip(on_ray, here, strict=True)]
    print(
        f"\nRay over local: the rest {ratios[1]:.2f}, together {ratios[2]:.2f}; starting Ray {start:.1f} s before that"
    )


def _index(folder: Path, name: str, encoder: Encoder, pipeline: Pipeline) -> tuple[float, float, float]:
    """Seconds until the first file was done, from then to the published library, and both."""
    done: list[float] = []

    def note(progress: Progress) -> None:
        if progress.worked:
            done.append(time.perf_counter() - began)

    began = time.perf_counter()
    with closing(pipeline):
        index_videos(folder / name, [folder / "videos"], encoder, pipeline=pipeline, on_progress=note)
        took = time.perf_counter() - began
    print(f"| {name} | {done[0]:.1f} | {took - done[0]:.1f} | {took:.1f} |", flush=True)
    return done[0], took - done[0], took


if __name__ == "__main__":
    main()
