"""What becomes of a file on its way through the pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.catalog.records import FileState, NewClip
from indexer.media.header import VideoInfo
from indexer.media.segmentation import Segmentation
from quartet.errors import VideoError


@dataclass(frozen=True)
class Cut:
    """How to make clips of a file, `kept` of which an earlier run has encoded: the others are wanted."""

    segmentation: Segmentation
    kept: int = 0


@dataclass(frozen=True)
class Part:
    """Clips of a file that has more of them, as number `first` and on, and their seconds of video."""

    file: FileState
    cut: Cut
    first: int
    clips: list[NewClip]
    seconds: float


@dataclass(frozen=True)
class Encoded:
    """A new or changed video, its last clips in the order of time, and their seconds of video.

    `first` clips went before, as parts or in an earlier run.
    """

    file: FileState
    cut: Cut
    info: VideoInfo
    first: int
    clips: list[NewClip]
    seconds: float


@dataclass(frozen=True)
class Known:
    """A file with the content of a video that the library holds."""

    file: FileState


@dataclass(frozen=True)
class Refused:
    """A file that cannot be used. It has a hash if that much of it could be read."""

    file: FileState
    error: VideoError


Outcome = Part | Encoded | Known | Refused


class ClipCollector:
    """The clips of the file that is being encoded."""

    def __init__(self, file: FileState, cut: Cut) -> None:
        self._file = file
        self._cut = cut
        self._first = cut.kept
        self._end = 0.0
        self._info: VideoInfo | None = None
        self._fault: VideoError | None = None
        self.clips: list[NewClip] = []

    def add(self, clip: NewClip, info: VideoInfo) -> None:
        if self._info is None:
            self._end = clip.start
        self.clips.append(clip)
        self._info = info

    def refuse(self, clip: NewClip) -> None:
        """The model gave vectors that are not finite for this clip of the file."""
        part = f"from {clip.start:.3f} s to {clip.end:.3f} s"
        self._fault = VideoError(
            self._file.path, "model-fault", f"The model returned a vector with NaN or infinity for the clip {part}."
        )
        self.clips = []

    @property
    def refused(self) -> bool:
        """Whether the file is refused: its other clips are not wanted."""
        return self._fault is not None

    def part(self) -> Part:
        """What has been gathered; the next clips are another part."""
        part = Part(self._file, self._cut, self._first, self.clips, self._seconds())
        self._first += len(self.clips)
        self._end = self.clips[-1].end
        self.clips = []
        return part

    def complete(self) -> Encoded | Refused:
        if self._fault is not None:
            return Refused(self._file, self._fault)
        if self._info is None:
            raise ValueError(f"{self._file.path} was read to its end without a clip")
        return Encoded(self._file, self._cut, self._info, self._first, self.clips, self._seconds())

    def _seconds(self) -> float:
        return self.clips[-1].end - self._end
