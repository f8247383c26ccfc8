"""How often a poor screenshot finds its clip: half the size, cropped to 80%, JPEG of quality 30.

python -m benchmarks.quality.screenshots [--clips 500] [--seed 0]: the demo world and the bundled model.
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np

from demo.render import render_frames
from demo.world import sample_split
from model.encoder import Frames
from model.levels import Vectors
from model.registry import load_encoder


def poor(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) RGB as somebody may have kept it."""
    height, width = picture.shape[:2]
    top, left = round(0.1 * height), round(0.1 * width)
    cropped = picture[top : height - top, left : width - left]
    small = cv2.resize(cropped, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    _, coded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 30])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)


def main() -> None:
    """Print recall at 1, 5 and 10 over the clips."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    encoder = load_encoder("demo", "cpu")
    count = encoder.spec.frames_per_clip
    specs = sample_split("test", given.clips, given.seed)
    clips: list[Frames] = [render_frames(spec, [(i + 0.5) / count for i in range(count)]) for spec in specs]
    shots: list[Frames] = [poor(clip[len(clip) // 2])[None] for clip in clips]
    gallery, queries = _encoded(encoder.encode_clips, clips), _encoded(encoder.encode_clips, shots)
    levels = encoder.spec.levels
    scores = sum(level.weight * (queries[level.name] @ gallery[level.name].T) for level in levels)
    own = np.diag(scores)
    rank = (scores > own[:, None]).sum(axis=1)
    for k in (1, 5, 10):
        print(f"R@{k}: {100 * np.mean(rank < k):.1f}% of {len(specs)} clips")


def _encoded(encode: object, clips: list[Frames]) -> Vectors:
    assert callable(encode)
    parts = [encode(clips[start : start + 16]) for start in range(0, len(clips), 16)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


if __name__ == "__main__":
    main()
