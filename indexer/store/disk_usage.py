"""How much room a library takes, and how much video it is of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from indexer.disk.presence import is_gone
from indexer.store.library import Library


@dataclass(frozen=True)
class MediaUsage:
    """Duration in seconds and size in bytes of all videos; `missing` counts those whose files are not there."""

    seconds: float
    bytes: int
    missing: int


def media_usage(library: Library) -> MediaUsage:
    seconds, size = library.catalog.media_sums()
    return MediaUsage(seconds, size, sum(map(is_gone, library.catalog.video_paths().values())))


def disk_usage(library: Path) -> dict[str, int]:
    """Bytes of the index, the catalogue and the pictures. A file that two generations share counts once."""
    parts = {"index": "generations/**/*", "catalogue": "catalog.sqlite*", "pictures": "thumbnails/**/*"}
    sizes = {}
    for part, pattern in parts.items():
        found = [path.stat() for path in library.glob(pattern) if path.is_file()]
        sizes[part] = sum({status.st_ino: status.st_size for status in found}.values())
    return sizes
