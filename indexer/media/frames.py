"""Decoding the frames that are asked for, and of the others no more than it takes (PyAV).

Between two wanted frames the reader goes to the key frame before the next one, if that spares decoding. A
container's word on where its key frames are is checked: where it turns out wrong, the file is decoded from its
beginning to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from indexer.media.clock import mended
from indexer.media.frame_pixels import SHORT_SIDE, FrameConverter
from indexer.media.header import Header, open_container, packets_of, refusal
from indexer.media.timeline import Timeline
from quartet.errors import VideoError

_WORTH_SEEKING = 12
"""Frames that must be spared for a seek to pay."""

_EARLIER_KEYS = 3
"""Key frames before the nearest one that are tried where it is damaged, before the file is decoded from its start."""

_MAX_LOOK_AHEAD = 8
"""Frames that are decoded past one that does not come, before it is given up as damaged."""


@dataclass(frozen=True)
class Picture:
    """A frame: seconds by the player's clock, and (H, W, 3) uint8 RGB, turned as it is shown."""

    time: float
    pixels: npt.NDArray[np.uint8]


class FrameReader:
    """The frames of one video stream. A context manager. Every method raises VideoError.

    All pictures have the size of the first one that is decoded, at most SHORT_SIDE on the shorter side.
    `alive` is called for every packet, to say that it goes on.
    """

    def __init__(
        self,
        path: Path,
        header: Header,
        timeline: Timeline,
        alive: Callable[[], None] = lambda: None,
        short_side: int | None = SHORT_SIDE,
    ) -> None:
        self.timeline = timeline
        self._path = path
        self._stream = header.stream
        self._source = header.source
        self._formats = header.formats
        self._alive = alive
        self._converter = FrameConverter(header.pixel_aspect, short_side, header.crop)
        self._seekable = timeline.seekable
        # Decoded frames by stamp: the one on screen, and those after it.
        self._recent: dict[int, Any] = {}
        self._decoded = -1
        # Stamps of the frames that are asked for and of their neighbours; empty: of all.
        self._needed: frozenset[int] = frozenset()
        self._container: Any = None
        self._frames: Iterator[tuple[int, Any]] = iter(())

    def __enter__(self) -> Self:
        self._restart()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels as shown. Known once a picture has been read."""
        return self._converter.shown

    def at(self, indices: npt.NDArray[np.int64]) -> Iterator[Picture]:
        """The frames with these numbers in the timeline (ascending), one picture per number.

        Where one cannot be decoded it is the previous one, which stays on screen in a player too, or else the next.
        """
        import av

        stamps = self.timeline.stamps
        if not self.timeline.counted:
            # With the neighbours, because the two fields of an interlaced frame may have a stamp each.
            near = np.clip(indices[:, None] + [-1, 0, 1], 0, len(stamps) - 1)
            self._needed = frozenset(stamps[near].ravel().tolist())
        try:
            for index in indices.tolist():
                stamp, frame = self._at(index)
                yield self._picture(stamp, frame)
        except av.error.FFmpegError as error:
            raise refusal(self._path, error) from error

    def through(self) -> Iterator[Picture]:
        """Every frame that can be decoded, in the order in which they are shown."""
        import av

        last = None
        try:
            for stamp, frame in self._frames:
                if last is None or stamp > last:
                    last = stamp
                    yield self._picture(stamp, frame)
        except av.error.FFmpegError as error:
            raise refusal(self._path, error) from error
        if last is None:
            raise VideoError(self._path, "unreadable", "None of its frames can be decoded.")

    def _picture(self, stamp: int, frame: Any) -> Picture:
        return Picture(self.timeline.seconds(stamp), self._converter.convert(frame))

    def _at(self, index: int) -> tuple[int, Any]:
        wanted = int(self.timeline.stamps[index])
        if wanted not in self._recent:
            self._approach(wanted)
        while wanted not in self._recent and sum(stamp > wanted for stamp in self._recent) < _MAX_LOOK_AHEAD:
            decoded = next(self._frames, None)
            if decoded is None:
                break
            self._remember(*decoded, wanted)
        if not self._recent:
            raise VideoError(self._path, "unreadable", "None of its frames can be decoded.")
        shown = max((stamp for stamp in self._recent if stamp <= wanted), default=min(self._recent))
        return shown, self._recent[shown]

    def _approach(self, wanted: int) -> None:
        """Go to the last key frame before `wanted`, if that spares decoding."""
        keys = self.timeline.keys
        before = int(np.searchsorted(keys[:, 0], wanted, side="right"))
        if not self._seekable or before == 0:
            return
        nearest = int(keys[before - 1, 0])
        if int(np.searchsorted(self.timeline.stamps, nearest)) - self._decoded <= _WORTH_SEEKING:
            return
        for key in range(before - 1, max(-1, before - 2 - _EARLIER_KEYS), -1):
            shown, due = keys[key].tolist()
            # Some containers are searched by one time, some by the other, some only come near it.
            earlier = int(keys[max(0, key - 1), 1])
            if any(self._seek(target, shown) for target in (shown, due, earlier)):
                return
        # What the container takes for key frames are not, or all of them are damaged, or it cannot be searched.
        self._seekable = False
        self._restart()

    def _remember(self, stamp: int, frame: Any, wanted: int) -> None:
        self._recent[stamp] = frame
        self._decoded = int(np.searchsorted(self.timeline.stamps, stamp))
        past = sorted(known for known in self._recent if known <= wanted)
        for known in past[:-1]:
            del self._recent[known]

    def _seek(self, target: int, wanted: int) -> bool:
        """Go to the key frame that the container finds for `target`; whether it is one at or before `wanted`."""
        import av

        stream = self._container.streams[self._stream]
        try:
            self._container.seek(self.timeline.by_file(target), stream=stream)
            packets = self._packets(known=False)
            first = next((packet for packet in packets if packet.is_keyframe and packet.pts is not None), None)
            if first is None or first.pts > wanted:
                return False
            self._frames = self._decode(_chain(first, packets))
            # Frames shown before the key frame may lack what they refer to.
            stamp, frame = next((found for found in self._frames if found[0] >= first.pts), (0, None))
        except av.error.FFmpegError:
            return False
        # A damaged one would stay on screen, and mar what refers to it, until the next: better come from before it.
        if frame is None or stamp > wanted or not frame.key_frame or frame.is_corrupt:
            return False
        self._recent.clear()
        self._remember(stamp, frame, wanted)
        return True

    def _restart(self) -> None:
        import av
        from av.codec.context import Flags

        if self._container is not None:
            self._container.close()
        self._recent.clear()
        self._decoded = -1
        try:
            self._container = open_container(self._path, self._source)
        except av.error.FFmpegError as error:
            raise refusal(self._path, error) from error
        stream = self._container.streams[self._stream]
        # One thread: files are decoded side by side instead.
        stream.codec_context.thread_count = 1
        # Else some columns stay that the encoder wants cut off at the left.
        stream.codec_context.flags |= Flags.unaligned
        self._frames = self._decode(self._packets(known=True))

    def _packets(self, known: bool) -> Iterator[Any]:
        """The packets from here on, by the continuous clock. `known`: the next one is the first of the file."""
        joints = self.timeline.joints
        stream = self._container.streams[self._stream]
        packets = mended(packets_of(self._container, stream), stream, self._formats)
        if joints is None:
            yield from packets
            return
        number = 0
        for packet in packets:
            if packet.size:
                shift = joints.shift(number if known else -1, packet.dts)
                number += 1
                packet.pts, packet.dts = (None if at is None else at + shift for at in (packet.pts, packet.dts))
            yield packet

    def _decode(self, packets: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        """Stamps and frames as the decoder gives them, stepping over what cannot be decoded."""
        import av

        count = 0
        context = self._container.streams[self._stream].codec_context
        for packet in packets:
            self._alive()
            if packet.size == 0 and packet.pts is not None:
                # Theora: nothing changes.
                continue
            if self._needed:
                # Frames that no other refers to can be left out and change nothing.
                context.skip_frame = "DEFAULT" if packet.pts in self._needed else "NONREF"
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            for frame in frames:
                stamp = count if self.timeline.counted else frame.pts
                count += 1
                if stamp is not None:
                    yield stamp, frame


def _chain(first: Any, rest: Iterable[Any]) -> Iterator[Any]:
    yield first
    yield from rest
