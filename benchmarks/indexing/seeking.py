"""What seeking to key frames is worth: a few frames out of a long file, with it and without.

    python -m benchmarks.indexing.seeking [--minutes 60] [--frames 16]

The file is made here: H.264, a key frame every ten seconds (x264's own 250 frames), moving content. Both ways must
give the same frames; the program says so or fails.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np

from indexer.media.frames import FrameReader, Picture
from indexer.media.header import read_header
from indexer.media.timeline import Timeline, read_timeline

RATE = 25


def write_film(path: Path, minutes: int, rate: int = RATE, width: int = 640, height: int = 360) -> None:
    """A drifting pattern with a moving bar: one minute is encoded, and its packets are repeated."""
    minute = path.with_name(f"minute-{path.name}")
    y, x = np.mgrid[0:height, 0:width]
    ground = ((x * 3 + y * 5) % 256).astype(np.uint8)
    with av.open(str(minute), "w") as output:
        stream = output.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "30"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(60 * rate):
            picture = np.repeat(np.roll(ground, i % width, axis=1)[..., None], 3, axis=2)
            picture[:, i * 7 % width : i * 7 % width + 16] = (i % 256, i // 256 % 256, 200)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    with av.open(str(path), "w") as output:
        for i in range(minutes):
            with av.open(str(minute)) as container:
                source = container.streams.video[0]
                if i == 0:
                    stream = output.add_stream_from_template(source)
                for packet in container.demux(source):
                    if packet.size:
                        shift = round(60 * i / packet.time_base)
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                        output.mux(packet)


@contextmanager
def measured(what: str) -> Iterator[None]:
    wall, processor = time.perf_counter(), time.process_time()
    yield
    print(f"| {what} | {time.perf_counter() - wall:.2f} | {time.process_time() - processor:.2f} |", flush=True)


def decode_all(path: Path, timeline: Timeline, wanted: set[int]) -> list[Picture]:
    """The frames with the numbers `wanted`, by the plainest means: decode every frame of the file in turn."""
    times = timeline.times
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        kept = [frame for number, frame in enumerate(container.decode(stream)) if number in wanted]
    numbers = sorted(wanted)
    return [Picture(float(times[n]), frame.to_ndarray(format="rgb24")) for n, frame in zip(numbers, kept, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=60, help="length of the file")
    parser.add_argument("--frames", type=int, default=16, help="frames to sample from it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quartet-") as folder:
        path = Path(folder) / "film.mp4"
        write_film(path, options.minutes)
        print(f"{options.frames} frames of a file of {options.minutes} min, {path.stat().st_size / 2**20:.0f} MiB\n")
        print("| | wall s | processor s |\n|---|---|---|")
        header = read_header(path)
        with measured("read the times of all frames"):
            timeline = read_timeline(path, header)
        middles = (np.arange(options.frames) + 0.5) * len(timeline.stamps) / options.frames
        wanted = middles.astype(np.int64)
        with measured("seek and decode"), FrameReader(path, header, timeline) as reader:
            sought = list(reader.at(wanted))
        with measured("decode everything"):
            decoded = decode_all(path, timeline, set(wanted.tolist()))
    for one, other in zip(sought, decoded, strict=True):
        if abs(one.time - other.time) > 1e-6 or not np.array_equal(one.pixels, other.pixels):
            raise SystemExit(f"The frames at {one.time:.3f} s and {other.time:.3f} s differ.")
    print("\nBoth ways gave the same frames.")


if __name__ == "__main__":
    main()
