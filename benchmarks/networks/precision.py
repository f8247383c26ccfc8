"""What bfloat16 changes of a search: `python -m benchmarks.networks.precision DEMO` (docs/performance.md).

DEMO is the folder that `quartet demo` has written. Its clips and captions are encoded by the bundled model in float32
and in bfloat16. Then made vectors of the published size (`benchmarks.search.made_vectors`) are turned by as much as
bfloat16 turned those of a network, and by as much as it may at most, each in a direction of its own. Recall@10 is the
share of the ten best that float32 also has among its ten best.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.search.made_vectors import K, load, load_queries, make_data
from indexer.media.decode_pool import DecodePool
from model.encoder import Encoder
from model.levels import LEVEL_NAMES, FloatArray, Vectors
from model.precision import BF16_BOUND, PRECISIONS
from model.registry import load_encoder
from model.training.data.dataset import read_jsonl

_CLIPS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder of `quartet demo`")
    parser.add_argument("--made", type=int, default=10_000, help="vectors that are made")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    _demo(options.demo)
    with tempfile.TemporaryDirectory() as temporary:
        make_data(Path(temporary), options.made, options.seed)
        items = {name: np.array(rows) for name, rows in load(Path(temporary)).items()}
        _made(items, load_queries(Path(temporary)), options.seed)


def _demo(folder: Path) -> None:
    videos = list(read_jsonl(folder / "captions.jsonl"))
    texts = [text for video in videos for text in video.captions]
    owner = np.array([i for i, video in enumerate(videos) for _ in video.captions])
    encoders = {precision: load_encoder("demo", "cpu", precision=precision) for precision in PRECISIONS}
    frames = _frames([folder / "videos" / video.video for video in videos], encoders["float32"])
    clips = {name: _encoded(encoder, frames) for name, encoder in encoders.items()}
    asked = {name: encoder.text_queries(encoder.encode_texts(texts).vectors) for name, encoder in encoders.items()}
    print(f"bundled model, {len(videos)} clips, {len(texts)} captions")
    for kind, both in (("clips", clips), ("captions", asked)):
        off = {name: f"{1 - _cosines(both['float32'][name], both['bf16'][name]).min():.1e}" for name in LEVEL_NAMES}
        print(f"1 - worst cosine of {kind}: {off}")
    levels = encoders["float32"].spec.levels
    right = None
    print("| clips | captions | recall@10 of float32's | t2v R@1 | R@5 | R@10 |\n|---|---|---|---|---|---|")
    for indexed, queried in (("float32", "float32"), ("bf16", "float32"), ("bf16", "bf16")):
        total = np.zeros((len(texts), len(videos)))
        for level in levels:
            product = asked[queried][level.name].astype(np.float64) @ clips[indexed][level.name].T.astype(np.float64)
            total += level.weight * level.activate(product)
        ranks = (total > total[np.arange(len(texts)), owner][:, None]).sum(1)
        top = np.argsort(-total, axis=1, kind="stable")[:, :K]
        right = top if right is None else right
        recall = " | ".join(f"{100 * (ranks < k).mean():.1f}" for k in (1, 5, 10))
        print(f"| {indexed} | {queried} | {_shared(top, right):.4f} | {recall} |", flush=True)


def _frames(paths: list[Path], encoder: Encoder) -> list[np.ndarray]:
    pool = DecodePool(1)
    try:
        jobs = [pool.submit(partial(_clips, pool, path, encoder.spec.frames_per_clip)) for path in paths]
        return [frames for job in jobs for frames in job.result()]
    finally:
        pool.close()


def _clips(pool: DecodePool, path: Path, count: int) -> list[np.ndarray]:
    return [decoded.clip.frames for decoded in pool.clips(path, count)]


def _encoded(encoder: Encoder, frames: list[np.ndarray]) -> Vectors:
    parts = [encoder.encode_clips(frames[i : i + _CLIPS]) for i in range(0, len(frames), _CLIPS)]
    return {name: np.concatenate([part[name] for part in parts]) for name in LEVEL_NAMES}


def _made(items: Vectors, queries: Vectors, seed: int) -> None:
    print(f"\n{len(items['global']):,} made vectors, {len(queries['global'])} queries, seed {seed}")
    print("| 1 - cosine to float32 | recall@10 of float32's |\n|---|---|")
    right = None
    rng = np.random.default_rng(seed)
    for off in (0.0, 1e-5, 5e-5, 1e-4, BF16_BOUND):
        turned = {name: _turned(rows, off, rng) for name, rows in items.items()}
        total = sum(queries[name].astype(np.float64) @ turned[name].T for name in LEVEL_NAMES)
        top = np.argsort(-total, axis=1, kind="stable")[:, :K]
        right = top if right is None else right
        print(f"| {off:g} | {_shared(top, right):.4f} |", flush=True)


def _turned(rows: FloatArray, off: float, rng: np.random.Generator) -> FloatArray:
    """Unit rows at a cosine of 1 - `off` to those given."""
    noise = rng.standard_normal(rows.shape)
    noise -= (noise * rows).sum(1, keepdims=True) * rows
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    turned: FloatArray = (1 - off) * rows + np.sqrt(1 - (1 - off) ** 2) * noise
    return turned


def _cosines(one: FloatArray, other: FloatArray) -> FloatArray:
    both = (one.astype(np.float64), other.astype(np.float64))
    lengths = [np.linalg.norm(rows, axis=1) for rows in both]
    there = lengths[0] > 0
    cosines: FloatArray = (both[0] * both[1]).sum(1)[there] / (lengths[0] * lengths[1])[there]
    return cosines


def _shared(top: np.ndarray, right: np.ndarray) -> float:
    return float(np.mean([len(set(own) & set(other)) / K for own, other in zip(top, right, strict=True)]))


if __name__ == "__main__":
    main()
