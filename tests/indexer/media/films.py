"""A film of three colours, two seconds each, in any container and on any clock."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RED, BLUE, GREEN = (250, 0, 0), (0, 0, 250), (0, 128, 0)
RATE = 25
CODECS = {".webm": "libvpx", ".flv": "libx264"}
SOUNDS = {".webm": "libopus"}


def write_film(
    path: Path,
    first: float = 0.0,
    sound: tuple[float, float] | None = None,
    colours: Sequence[tuple[int, int, int]] = (RED, BLUE, GREEN),
    codec: str | None = None,
    options: dict[str, str] | None = None,
    times: Sequence[float] | None = None,
) -> Path:
    """`first`: seconds at which the pictures begin; `sound`: from and to when there is any; `times` of each frame."""
    if times is None:
        times = [first + i / RATE for i in range(2 * RATE * len(colours))]
    with av.open(str(path), "w") as output:
        stream = output.add_stream(
            codec or CODECS.get(path.suffix, "libx264"), rate=RATE, options={"g": "25", **(options or {})}
        )
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        # MPEG-2 knows its own frame rates only.
        base = Fraction(1, RATE if codec == "mpeg2video" else 1000)
        stream.codec_context.time_base = base
        voice = None
        if sound is not None:
            voice = output.add_stream(SOUNDS.get(path.suffix, "aac"), rate=48_000, layout="mono")
        packets = []
        for i, time in enumerate(times):
            picture = np.full((48, 64, 3), colours[i * len(colours) // len(times)], np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base, frame.pts = base, round(time / base)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if voice is not None and sound is not None:
            for at in range(round(48_000 * sound[0]), round(48_000 * sound[1]), 960):
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), format="fltp", layout="mono")
                silence.sample_rate, silence.time_base, silence.pts = 48_000, Fraction(1, 48_000), at
                packets += voice.encode(silence)
            packets += voice.encode(None)
        for packet in sorted(packets, key=lambda each: each.dts * each.time_base):
            output.mux(packet)
    return path


def join(path: Path, *parts: Path) -> Path:
    """Files one after the other, as bytes."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def colour_of(picture: np.ndarray) -> tuple[int, int, int]:
    """Which of the three colours a picture has."""
    mean = picture.reshape(-1, 3).mean(axis=0)
    return min((RED, BLUE, GREEN), key=lambda colour: float(np.abs(mean - colour).sum()))
