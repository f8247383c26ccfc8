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

from indexer.media.header import Header, open_container, refusal
from indexer.media.timeline import Timeline
from quartet.errors import VideoError

SHORT_SIDE = 384
"""Frames are scaled down to this many pixels on the shorter side: no backbone here looks at more."""

_WORTH_SEEKING = 12
"""Frames that must be spared for a seek to pay."""

_LOOK_AHEAD = 8
"""Frames that are decoded past one that does not come, before it is given up as damaged."""


@dataclass(frozen=True)
class Picture:
    """A frame: seconds from the first one of the file, and (H, W, 3) uint8 RGB, turned as it is shown."""

    time: float
    pixels: npt.NDArray[np.uint8]


class FrameReader:
    """The frames of one video stream. A context manager. Every method raises VideoError.

    All pictures have the size of the first one that is decoded, at most SHORT_SIDE on the shorter side.
    `alive` is called for every packet, to say that it goes on.
    """

    def __init__(
        self, path: Path, header: Header, timeline: Timeline, alive: Callable[[], None] = lambda: None
    ) -> None:
        self.timeline = timeline
        self._path = path
        self._stream = header.stream
        self._alive = alive
        self._converter = _Converter()
        self._seekable = not timeline.counted
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

        Where one cannot be decoded it is the one before it, which stays on screen in a player too, or else the next.
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
        while wanted not in self._recent and sum(stamp > wanted for stamp in self._recent) < _LOOK_AHEAD:
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
        shown, due = keys[before - 1].tolist()
        if int(np.searchsorted(self.timeline.stamps, shown)) - self._decoded <= _WORTH_SEEKING:
            return
        # Some containers are searched by one time, some by the other, some only come near it.
        earlier = int(keys[max(0, before - 2), 1])
        if not any(self._seek(target, shown) for target in (shown, due, earlier)):
            # What the container takes for key frames are none, or it cannot be searched.
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
            self._container.seek(target, stream=stream)
            packets = self._container.demux(stream)
            first = next((packet for packet in packets if packet.is_keyframe and packet.pts is not None), None)
            if first is None or first.pts > wanted:
                return False
            self._frames = self._decode(_chain(first, packets))
            # Frames shown before the key frame may lack what they refer to.
            stamp, frame = next((found for found in self._frames if found[0] >= first.pts), (0, None))
        except av.error.FFmpegError:
            return False
        if frame is None or stamp > wanted or not frame.key_frame:
            return False
        self._recent.clear()
        self._remember(stamp, frame, wanted)
        return True

    def _restart(self) -> None:
        import av

        if self._container is not None:
            self._container.close()
        self._recent.clear()
        self._decoded = -1
        try:
            self._container = open_container(self._path)
        except av.error.FFmpegError as error:
            raise refusal(self._path, error) from error
        stream = self._container.streams[self._stream]
        # One thread: files are decoded side by side instead.
        stream.codec_context.thread_count = 1
        self._frames = self._decode(self._container.demux(stream))

    def _decode(self, packets: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        """Stamps and frames as the decoder gives them, stepping over what cannot be decoded."""
        import av

        count = 0
        context = self._container.streams[self._stream].codec_context
        for packet in packets:
            self._alive()
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


class _Converter:
    """Frames as pixels: scaled, turned, and all of the size of the first."""

    def __init__(self) -> None:
        from av.video.reformatter import Interpolation, VideoReformatter

        self._reformatter = VideoReformatter()
        # The bilinear filter widens with the reduction, so that it averages instead of skipping pixels.
        self._filter = Interpolation.BILINEAR
        self._size: tuple[int, int] | None = None
        self._turn = _AS_IT_IS
        self.shown = (0, 0)

    def convert(self, frame: Any) -> npt.NDArray[np.uint8]:
        if self._size is None:
            scale = min(1.0, SHORT_SIDE / min(frame.width, frame.height))
            self._size = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
            self._turn = _turn_of(frame)
            self.shown = (frame.height, frame.width) if self._turn.swapped else (frame.width, frame.height)
        scaled = self._reformatter.reformat(frame, *self._size, "rgb24", interpolation=self._filter)
        return np.ascontiguousarray(self._turn.apply(np.asarray(scaled.to_ndarray(), dtype=np.uint8)))


@dataclass(frozen=True)
class _Turn:
    """How a decoded picture is shown: with rows and columns swapped, and then flipped."""

    swapped: bool
    across: bool
    upside_down: bool

    def apply(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if self.swapped:
            picture = picture.swapaxes(0, 1)
        return picture[:: -1 if self.upside_down else 1, :: -1 if self.across else 1]


_AS_IT_IS = _Turn(False, False, False)


def _turn_of(frame: Any) -> _Turn:
    """The display matrix of a frame, to the nearest quarter turn.

    It takes the point (p, q) to (a p + c q + x, b p + d q + y): QuickTime File Format, "Matrices".
    """
    from av.sidedata.sidedata import Type

    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return _AS_IT_IS
    a, b, _, c, d = np.frombuffer(matrix, dtype=np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return _Turn(False, a < 0, d < 0)
    return _Turn(True, c < 0, b < 0)
