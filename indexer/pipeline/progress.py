"""How far an indexing run is, how fast it goes, and which of its stages the others wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STAGES = ("decode", "encode", "write")


@dataclass(frozen=True)
class Progress:
    """`done` of `total` files; `path` is the file just dealt with, `clips` how many were encoded in this run.

    worked         files that this run has dealt with itself, rather than found unchanged
    video_seconds  duration of the videos that were encoded
    seconds        since the run began
    busy           per stage, the part of that time in which it worked rather than waited: 0 to 1
    """

    done: int
    total: int
    path: Path | None
    clips: int
    worked: int = 0
    video_seconds: float = 0.0
    seconds: float = 0.0
    busy: Mapping[str, float] = field(default_factory=dict)

    @property
    def clips_per_second(self) -> float:
        return self.clips / self.seconds if self.seconds else 0.0

    @property
    def video_hours_per_hour(self) -> float:
        """How much faster than playing it the video is indexed."""
        return self.video_seconds / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None before the first file."""
        return (self.total - self.done) * self.seconds / self.worked if self.worked else None

    @property
    def bottleneck(self) -> str | None:
        """The stage that has worked most of the time: more of it would make the run faster. None at the start."""
        return max(self.busy, key=self.busy.__getitem__) if any(self.busy.values()) else None

    def to_json(self) -> dict[str, Any]:
        """Everything above, for machines; rates to three digits after the point."""
        left = self.seconds_left
        return {
            "done": self.done,
            "total": self.total,
            "file": None if self.path is None else str(self.path),
            "clips": self.clips,
            "clips_per_second": round(self.clips_per_second, 3),
            "video_hours_per_hour": round(self.video_hours_per_hour, 3),
            "seconds": round(self.seconds, 3),
            "seconds_left": None if left is None else round(left, 3),
            "bottleneck": self.bottleneck,
            "busy": {stage: round(share, 3) for stage, share in self.busy.items()},
        }


class Meter:
    """Counts the seconds that each stage works. `lanes` are how many share its work, if it is more than one."""

    def __init__(self, lanes: Mapping[str, int]) -> None:
        self._began = time.monotonic()
        self._lanes = dict.fromkeys(STAGES, 1) | dict(lanes)
        self._worked = dict.fromkeys(STAGES, 0.0)
        self._lock = threading.Lock()

    @contextmanager
    def working(self, stage: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.add(stage, time.monotonic() - began)

    def add(self, stage: str, seconds: float) -> None:
        """Count work that was done elsewhere."""
        with self._lock:
            self._worked[stage] += seconds

    def worked(self, stage: str) -> float:
        """Seconds so far, of all lanes together."""
        return self._worked[stage]

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def busy(self) -> dict[str, float]:
        """Per stage, the part of the time so far in which it worked."""
        total = max(self.seconds, 1e-9)
        return {stage: min(1.0, self._worked[stage] / total / self._lanes[stage]) for stage in STAGES}
