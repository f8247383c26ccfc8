"""What indexing costs versus the two things it cannot do without: `python -m benchmarks.indexing` (docs/indexing.md).

In one run, on the same generated files: decoding the sampled frames alone, the backbone alone on frames that are
ready, the whole encoder on them, and indexing from the files to a published library. Indexing can at best take
as long as the slower of decoding and backbone; where they share the cores, as long as all cores need for both.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import av
import numpy as np

from benchmarks.machine import machine
from benchmarks.networks import made_models
from indexer.ingest.index_run import IndexReport, index_videos
from indexer.media.decode_pool import DecodePool
from indexer.pipeline.local_pipeline import BATCH
from model.encoder import Encoder
from model.fake_encoder import FakeEncoder
from model.levels import Vectors
from model.precision import PRECISIONS
from model.registry import load_encoder
from model.vision.backbone_config import BackboneConfig
from model.vision.backbones import Backbone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0, help="duration of each file")
    parser.add_argument("--height", type=int, default=360, help="of the 16:9 picture")
    parser.add_argument("--model", default="demo", help="by name or folder; `made` is CLIP ViT-B/32 of random weights")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the networks on a CPU")
    parser.add_argument("--pytorch", action="store_true", help="networks by PyTorch, as where OpenVINO is missing")
    parser.add_argument(
        "--backbone", help="instead of a model: a torchvision classifier with random weights, no towers"
    )
    parser.add_argument("--frames", type=int, default=16, help="per clip, with --backbone")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.pytorch:
        sys.modules["openvino"] = None  # type: ignore[assignment]
    encoder = _encoder(options)
    print(
        f"{machine()}; {encoder.spec.name} on {encoder.device} by {'PyTorch' if options.pytorch else 'OpenVINO'}, "
        f"{options.precision}, {encoder.spec.frames_per_clip} frames per clip; "
        f"{options.files} files of {options.seconds:g} s, {options.height} lines, seed {options.seed}; "
        f"{options.workers} decoding at a time",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = _write_videos(folder / "videos", options)
        # What is loaded once is not part of any figure.
        index_videos(folder / "library", paths[:1], encoder, workers=options.workers)
        rest = paths[1:]
        frames, decoding = _measured(partial(_decode, rest, encoder.spec.frames_per_clip, options.workers))
        _, encoding = _measured(partial(_in_batches, encoder.encode_clips, frames))
        backbone = _backbone_alone(encoder, frames) or encoding
        report, indexing = _measured(
            partial(index_videos, folder / "library", [folder / "videos"], encoder, workers=options.workers)
        )
    _print(
        {
            "decoding alone": decoding,
            "backbone alone": backbone,
            "whole encoder": encoding,
            "indexing": indexing,
        },
        len(rest),
    )
    _judge(report, decoding, backbone, indexing)


def _encoder(options: argparse.Namespace) -> Encoder:
    if options.backbone:
        return BackboneAlone(options.backbone, options.frames)
    if options.model != "made":
        return load_encoder(options.model, precision=options.precision)
    with tempfile.TemporaryDirectory() as folder:
        made_models.write_clip(Path(folder))
        return load_encoder(folder, precision=options.precision)


class BackboneAlone(FakeEncoder):
    """Costs what frames cost in a backbone, and gives vectors that mean nothing."""

    def __init__(self, name: str, frames_per_clip: int) -> None:
        super().__init__(frames_per_clip=frames_per_clip)
        self.spec = replace(self.spec, name=name, fingerprint=name)
        self.backbone = Backbone(BackboneConfig(name)).eval()

    def encode_clips(self, clips: Sequence[np.ndarray]) -> Vectors:
        features = [each.float().mean(dim=0).numpy() for each in self.backbone.features(clips)]
        return {level.name: self._unit([row[: level.dim] for row in features]) for level in self.spec.levels}


T = TypeVar("T")
Cost = tuple[float, float]
"""Seconds by the clock and of the processors, in this process and the ones that it started."""


def _measured(job: Callable[[], T]) -> tuple[T, Cost]:
    began, used = time.perf_counter(), _processor_seconds()
    result = job()
    return result, (time.perf_counter() - began, _processor_seconds() - used)


def _processor_seconds() -> float:
    # Those of child processes are counted once they have ended: every job here ends its own.
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ended = sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, who))
    # Decoders are children of the fork server, which waits for them.
    alive = [pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]
    ticks = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15] for pid in alive]
    return ended + sum(int(one) for times in ticks for one in times) / os.sysconf("SC_CLK_TCK")


def _decode(paths: Sequence[Path], count: int, workers: int) -> list[np.ndarray]:
    pool = DecodePool(workers)
    jobs = [pool.submit(partial(_frames, pool, path, count)) for path in paths]
    frames = [clip for job in jobs for clip in job.result()]
    pool.close()
    return frames


def _frames(pool: DecodePool, path: Path, count: int) -> list[np.ndarray]:
    return [decoded.clip.frames for decoded in pool.clips(path, count)]


def _in_batches(encode: Callable[[Sequence[np.ndarray]], object], frames: Sequence[np.ndarray]) -> None:
    for first in range(0, len(frames), BATCH):
        encode(frames[first : first + BATCH])


def _backbone_alone(encoder: Encoder, frames: Sequence[np.ndarray]) -> Cost | None:
    """None for an encoder that has no backbone and no towers."""
    backbone = getattr(encoder, "backbone", getattr(encoder, "tower", None))
    if backbone is None:
        return None
    # Clip by clip, as an encoder does it on a CPU.
    return _measured(lambda: [backbone.features([clip]) for clip in frames])[1]


def _write_videos(folder: Path, options: argparse.Namespace) -> list[Path]:
    """Files with a moving pattern and noise, 25 frames a second, H.264 with a key frame every 2 s."""
    folder.mkdir()
    rng = np.random.default_rng(options.seed)
    width = options.height * 16 // 9 // 2 * 2
    grain = rng.integers(0, 40, (options.height, width * 2, 3), dtype=np.uint8)
    paths = []
    for number in range(options.files):
        colour = rng.integers(0, 200, 3, dtype=np.uint8)
        path = folder / f"{number:05d}.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "50"})
            stream.width, stream.height, stream.pix_fmt = width, options.height, "yuv420p"
            for i in range(round(25 * options.seconds)):
                picture = grain[:, 3 * i % width :][:, :width] + colour
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        paths.append(path)
    return paths


def _print(costs: dict[str, Cost], files: int) -> None:
    print("\n| | s | CPU s | clips/s |\n|---|---|---|---|")
    for name, (seconds, processor) in costs.items():
        print(f"| {name} | {seconds:.2f} | {processor:.2f} | {files / seconds:.1f} |")


def _judge(report: IndexReport, decoding: Cost, backbone: Cost, indexing: Cost) -> None:
    cores = len(os.sched_getaffinity(0))
    floors = {
        "larger of the two": max(decoding[0], backbone[0]),
        "sum of the two": decoding[0] + backbone[0],
        f"CPU seconds of both over {cores} cores": (decoding[1] + backbone[1]) / cores,
    }
    ratios = "; ".join(f"{name} {indexing[0] / seconds:.2f}" for name, seconds in floors.items())
    busy = ", ".join(f"{stage} {share:.0%}" for stage, share in report.progress.busy.items())
    print(f"\nindexing, over the {ratios}")
    print(f"busy: {busy}; {report.progress.video_hours_per_hour:.0f} hours of video per hour\n", flush=True)


if __name__ == "__main__":
    main()
