"""The sound of a video, for models of speech: one channel of numbers, with its place on the player's clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.media.header import open_container, packets_of, refusal
from indexer.media.subtitle_streams import zero_of

CHUNK_SECONDS = 1800.0
"""Seconds of sound that are in memory at a time."""

_MIN_SILENCE = 0.2
"""Seconds without sound that are silence, not the rounding of stamps."""


@dataclass(frozen=True)
class Sound:
    """From `start` seconds on, (n,) float32 samples from -1 to 1."""

    start: float
    samples: npt.NDArray[np.float32]


def read_sound(path: Path, rate: int, stretch: float = CHUNK_SECONDS) -> Iterator[Sound]:
    """The first sound stream of a file at `rate` samples a second, in stretches; nothing for a file without sound.

    Gaps in the stream are silence. Packets that cannot be decoded are left out. Raises VideoError.
    """
    import av

    try:
        with open_container(path) as container:
            if not container.streams.audio:
                return
            stream = container.streams.audio[0]
            zero = zero_of(container)
            size = round(stretch * rate)
            kept: list[npt.NDArray[np.float32]] = []
            begin, length = 0.0, 0
            for time, samples in _blocks(container, stream, rate):
                if not length:
                    begin = time - zero
                lacking = round((time - zero - begin) * rate) - length
                if lacking > _MIN_SILENCE * rate:
                    if length + lacking > size:
                        # A long silence needs no memory.
                        yield Sound(begin, np.concatenate(kept))
                        kept, begin, length = [], time - zero, 0
                    else:
                        kept.append(np.zeros(lacking, np.float32))
                        length += lacking
                kept.append(samples)
                length += len(samples)
                if length >= size:
                    yield Sound(begin, np.concatenate(kept))
                    kept, length = [], 0
            if kept:
                yield Sound(begin, np.concatenate(kept))
    except av.error.FFmpegError as error:
        raise refusal(path, error) from error


def _blocks(container: Any, stream: Any, rate: int) -> Iterator[tuple[float, npt.NDArray[np.float32]]]:
    """What the decoder gives, resampled, with the time of its first sample by the file's clock."""
    import av

    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    time = 0.0
    for packet in packets_of(container, stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            time = float(frame.time) if frame.time is not None else time
            for block in resampler.resample(frame):
                samples = block.to_ndarray()[0].astype(np.float32)
                yield time, samples
                time += len(samples) / rate
