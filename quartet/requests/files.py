"""Pictures and videos of clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from quartet.requests.request import Request, read_bytes


def thumbnail(clip_id: int) -> Request[bytes]:
    """The picture of a clip (WebP)."""
    return Request(read_bytes, "GET", f"/v1/clips/{clip_id}/thumbnail")


def strip(clip_id: int) -> Request[bytes]:
    """Eight frames of a clip side by side (WebP)."""
    return Request(read_bytes, "GET", f"/v1/clips/{clip_id}/strip")


def media(clip_id: int, file: Path) -> Request[Path]:
    """The video that holds a clip, written to `file`. Raises InputError if that cannot be written."""
    return _saved(f"/v1/clips/{clip_id}/media", file)


def proxy(clip_id: int, file: Path) -> Request[Path]:
    """A clip as any browser can play it (H.264 and AAC in MP4), written to `file`."""
    return _saved(f"/v1/clips/{clip_id}/proxy", file)


def clip_file(clip_id: int, file: Path, padding: float = 0.0) -> Request[Path]:
    """A clip alone, with `padding` seconds around it, written to `file`."""
    return _saved(f"/v1/clips/{clip_id}/file", file, padding=padding)


def export(
    clip_ids: Sequence[int], format: Literal["csv", "m3u8", "otio", "edl", "fcpxml"], padding: float = 0.0
) -> Request[bytes]:
    """Clips as a list for a player or an editing program."""
    body = {"clip_ids": list(clip_ids), "format": format, "padding": padding}
    return Request(read_bytes, "POST", "/v1/clips/list", json=body)


def _saved(path: str, file: Path, **params: float) -> Request[Path]:
    return Request(lambda response: file, "GET", path, params, target=file)
