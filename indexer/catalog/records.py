"""What the catalogue holds, and what is put into it: plain records, known to everybody who reads or writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model.levels import FloatArray


@dataclass(frozen=True)
class Root:
    """A named folder of videos: where it is here, and where the catalogue says (`stored`)."""

    name: str
    path: Path
    stored: Path


@dataclass(frozen=True)
class Video:
    """A video file. `relpath` is relative to the root named `root`; size in bytes, times in seconds.

    `segmentation` is how it was cut (`indexer.media.segmentation.Segmentation.text`), None if that is not known.
    """

    id: int
    root: str
    relpath: str
    path: Path
    title: str
    size: int
    mtime: float
    sha256: str
    duration: float
    fps: float
    width: int
    height: int
    segmentation: str | None


@dataclass(frozen=True)
class Clip:
    """A part [start, end) in seconds of a video file, which was last changed at `mtime`."""

    id: int
    video_id: int
    start: float
    end: float
    path: Path
    title: str
    mtime: float = 0.0


@dataclass(frozen=True)
class Caption:
    """A distinct text of the gallery: `source` is the first file it came from, `clip_id` its clip.

    Of a video with several clips that is the one at the time of the text, or the first if it has no time.
    """

    id: int
    text: str
    source: str
    clip_id: int | None


VIDEO_SUFFIXES = {
    ".264", ".265", ".3g2", ".3gp", ".asf", ".avi", ".avs", ".dav", ".divx", ".dv", ".f4v", ".flv", ".h264", ".h265",
    ".hevc", ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mj2", ".mjpeg", ".mjpg", ".mkv", ".mod", ".mov", ".mp4",
    ".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nsv", ".nut", ".obu", ".ogm", ".ogv", ".qt", ".rm", ".rmvb",
    ".ts", ".tod", ".vob", ".webm", ".wmv", ".wtv", ".y4m",
}  # fmt: skip
"""What videos are commonly named."""

OTHER_REASONS = ("not-a-video", "no-video-stream")
"""Why a file is refused that is not a video."""


@dataclass(frozen=True)
class Failure:
    """A file that was refused. `reason` is a stable word (quartet.errors.VideoError), `detail` a sentence."""

    path: Path
    reason: str
    detail: str

    @property
    def is_other(self) -> bool:
        """Whether nobody takes the file for a video: a picture or a text of an indexed folder."""
        return self.reason in OTHER_REASONS and self.path.suffix.lower() not in VIDEO_SUFFIXES


@dataclass(frozen=True)
class Counts:
    """`failures` leaves out files that nobody takes for videos (`Failure.is_other`).

    `unfinished` counts clips of files that are still being encoded: no video has them yet.
    """

    videos: int
    clips: int
    captions: int
    failures: int
    unfinished: int


@dataclass(frozen=True)
class GenerationNote:
    """What the catalogue notes of a generation: its stamp, its manifest.json, and whether it has gone live for sure."""

    stamp: str
    manifest: str
    settled: bool


@dataclass(frozen=True)
class FileState:
    """A file as it was met on disk: size in bytes, mtime in seconds, sha256 of its content."""

    path: Path
    size: int
    mtime: float
    sha256: str = ""


@dataclass(frozen=True)
class NewClip:
    """A part [start, end) in seconds of a video: one vector (d_l,) per level, its picture and its strip (WebP)."""

    start: float
    end: float
    vectors: Mapping[str, FloatArray]
    picture: bytes
    strip: bytes
