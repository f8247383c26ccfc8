"""Clips of videos that a browser cannot play, encoded again for it when they are asked for, and kept for a while."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

from indexer.catalog.records import Clip
from indexer.cutting.clip_file import write_clip
from quartet.errors import BusyError, InputError

QUOTA = 2**30
"""Bytes of all proxies; those that were used longest ago are removed first."""
MAX_SECONDS = 120.0
"""Seconds of a clip that is encoded while somebody waits."""
_MAX_AT_ONCE = 1
"""Encoding takes a core: searches come first."""
_RETRY_AFTER = 2.0


class MomentProxies:
    """Proxies in a folder of their own, which goes with the service. Safe to use from many threads."""

    def __init__(self, quota: int = QUOTA) -> None:
        # Made with the first proxy: most services need none.
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._slots = threading.BoundedSemaphore(_MAX_AT_ONCE)
        self._opening = threading.Lock()
        self._quota = quota

    def file(self, clip: Clip, path: Path) -> Path:
        """The clip as H.264 and AAC in MP4, from its first frame at 0 s.

        path  its video. Raises BusyError while another is made, InputError for a clip that is too long, VideoError.
        """
        target = self._place() / f"{clip.id}-{round(1000 * clip.mtime)}.mp4"
        if not target.exists():
            if clip.end - clip.start > MAX_SECONDS:
                raise InputError(
                    f"The clip lasts {clip.end - clip.start:.0f} s; at most {MAX_SECONDS:.0f} s are encoded for a "
                    "browser. Divide the video into shorter clips: quartet index --segment shot."
                )
            if not self._slots.acquire(blocking=False):
                raise BusyError(_RETRY_AFTER)
            try:
                if not target.exists():
                    write_clip(path, clip.start, clip.end, target, encode=True)
                    self._make_room(target)
            finally:
                self._slots.release()
        os.utime(target)
        return target

    def close(self) -> None:
        """Remove all of them."""
        with self._opening:
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    def _place(self) -> Path:
        with self._opening:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="quartet-proxies-")
            return Path(self._folder.name)

    def _make_room(self, newest: Path) -> None:
        found = sorted(
            (path for path in newest.parent.glob("*.mp4") if path != newest),
            key=lambda path: path.stat().st_mtime_ns,
        )
        used = newest.stat().st_size + sum(path.stat().st_size for path in found)
        for path in found:
            if used <= self._quota:
                return
            used -= path.stat().st_size
            path.unlink()
