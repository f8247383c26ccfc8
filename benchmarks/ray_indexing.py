"""What a Ray cluster of one machine costs beside no cluster: `python -m benchmarks.ray_indexing` (docs/indexing.md).

The demo world is indexed with the demo model by both pipelines, in a new library each; loading the model into this
process and rendering are no part of it. On one machine there is nothing to win: what is measured is what Ray adds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks.search import _machine
from demo.video import write_videos
from indexer.build import index_videos
from indexer.pipeline import LocalPipeline
from indexer.ray_pipeline import RayPipeline
from indexer.work import Pipeline
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
        f"{_machine()}; {options.clips} demo clips, seed {options.seed}; {options.workers} decoding at a time",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for _ in write_videos(folder, "test", options.clips, seed=options.seed, workers=1):
            pass
        here = _index(folder, "here", encoder, LocalPipeline(encoder, options.workers))
        began = time.perf_counter()
        load = partial(load_encoder, "demo", "cpu")
        there = RayPipeline("local", load, encoder.spec.fingerprint, workers=options.workers)
        start = time.perf_counter() - began
        workers = there.lanes["encode"]
        on_ray = _index(folder, "there", encoder, there)
    print(f"\n| | s | clips/s |\n|---|---|---|\n| local | {here:.1f} | {options.clips / here:.1f} |")
    print(f"| Ray, {workers} workers | {on_ray:.1f} | {options.clips / on_ray:.1f} |")
    print(f"\nRay over local {on_ray / here:.2f}; starting the cluster {start:.1f} s before that", flush=True)


def _index(folder: Path, library: str, encoder: Encoder, pipeline: Pipeline) -> float:
    began = time.perf_counter()
    with closing(pipeline):
        report = index_videos(folder / library, [folder / "videos"], encoder, pipeline=pipeline)
        took = time.perf_counter() - began
    busy = ", ".join(f"{stage} {share:.0%}" for stage, share in report.progress.busy.items())
    print(f"{library}: {report.indexed} files, busy: {busy}", flush=True)
    return took


if __name__ == "__main__":
    main()
