"""Frames of files at given times by decord, for test_decord.py: `python decord_frames.py FOLDER OUT < WANTED`.

In a process of its own: where decord has been imported before PyTorch, half-precision products of PyTorch crash.
WANTED is {file name: [seconds]} as JSON. OUT becomes a folder of NAME.npz with `frames`, `times` and `count`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import decord
import numpy as np


def main(folder: Path, out: Path) -> None:
    decord.logging.set_level(decord.logging.FATAL)
    for name, wanted in json.load(sys.stdin).items():
        try:
            reader = decord.VideoReader(str(folder / name), num_threads=1)
        except (RuntimeError, decord.DECORDError):
            continue
        times = reader.get_frame_timestamp(np.arange(len(reader)))[:, 0]
        times = times - times[0]
        numbers = np.abs(times[None] - np.array(wanted)[:, None]).argmin(axis=1)
        frames = reader.get_batch(numbers.tolist()).asnumpy() if wanted else np.zeros(0)
        np.savez(out / f"{name}.npz", frames=frames, times=times[numbers], count=len(reader))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
