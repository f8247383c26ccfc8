"""A selection of clips as a list: CSV for tables, M3U8 for players, EDL, FCPXML and OTIO for editing programs."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from quartet.errors import InputError

FORMATS = ("csv", "m3u8", "otio", "edl", "fcpxml")
"""By suffix."""

_USUAL_RATE = 25.0

_TELEVISION = 30.0
"""What an EDL counts by where a video has none of the rates that it knows."""


@dataclass(frozen=True)
class Selected:
    """A stretch of a video, in seconds. `media` is its path, or where it is served; fps and duration of the video."""

    clip_id: int
    title: str
    media: str
    start: float
    end: float
    fps: float
    duration: float


def as_csv(clips: Sequence[Selected]) -> str:
    """A row per clip, with a head."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("clip_id", "title", "media", "start", "end"))
    writer.writerows((c.clip_id, c.title, c.media, f"{c.start:.6g}", f"{c.end:.6g}") for c in clips)
    return out.getvalue()


def as_m3u8(clips: Sequence[Selected]) -> str:
    """A playlist that VLC and mpv play clip by clip: each entry says where to start and to stop."""
    lines = ["#EXTM3U"]
    for clip in clips:
        title = " ".join(clip.title.split())
        lines += [
            f"#EXTINF:{clip.end - clip.start:.3f},{title}",
            f"#EXTVLCOPT:start-time={clip.start:.3f}",
            f"#EXTVLCOPT:stop-time={clip.end:.3f}",
            clip.media,
        ]
    return "\n".join(lines) + "\n"


def as_timeline(clips: Sequence[Selected], format: str) -> str:
    """One clip after the other on a track: "otio", "edl" (CMX 3600) or "fcpxml" (Final Cut Pro X).

    Times are whole frames of each video: right to half a frame. An EDL knows only the rates of television: other
    videos are counted at 30 frames per second there.
    Raises InputError if OpenTimelineIO, or its adapter, is not installed.
    """
    try:
        import opentimelineio as otio
    except ModuleNotFoundError as error:
        raise InputError("Editing lists need OpenTimelineIO: pip install 'quartet-video[edit]'.") from error
    track = otio.schema.Track(name="Quartet", kind=otio.schema.TrackKind.Video)
    for clip in clips:
        rate = _rate(clip.fps, television=format == "edl")
        first, last = round(clip.start * rate), round(clip.end * rate)
        reference = otio.schema.ExternalReference(
            target_url=clip.media if "://" in clip.media else Path(clip.media).absolute().as_uri(),
            available_range=_range(0, max(round(clip.duration * rate), last), rate),
        )
        reference.name = clip.title
        one = otio.schema.Clip(clip.title, reference, _range(first, max(last - first, 1), rate))
        one.metadata["quartet"] = {"clip_id": clip.clip_id}
        track.append(one)
    timeline = otio.schema.Timeline("Quartet")
    timeline.tracks.append(track)
    adapter = {"otio": "otio_json", "edl": "cmx_3600", "fcpxml": "fcpx_xml"}[format]
    options: dict[str, Any] = {}
    if format == "edl":
        options["rate"] = _rate(clips[0].fps, television=True)
    try:
        return str(otio.adapters.write_to_string(timeline, adapter, **options))
    except otio.exceptions.NoKnownAdapterForExtensionError as error:
        raise InputError(f"{format.upper()} needs an adapter: pip install 'quartet-video[edit]'.") from error
    except otio.exceptions.OTIOError as error:
        raise InputError(f"The selection cannot be written as {format.upper()}: {error}") from error


def as_list(clips: Sequence[Selected], format: str) -> str:
    """A selection in one of `FORMATS`. Raises InputError for an empty one or another format."""
    if not clips:
        raise InputError("The selection is empty. Name at least one clip.")
    if format not in FORMATS:
        raise InputError(f"A selection cannot be written as {format!r}. The formats are: {', '.join(FORMATS)}.")
    if format == "csv":
        return as_csv(clips)
    return as_m3u8(clips) if format == "m3u8" else as_timeline(clips, format)


def _range(first: int, count: int, rate: float) -> Any:
    from opentimelineio.opentime import RationalTime, TimeRange

    return TimeRange(RationalTime(first, rate), RationalTime(count, rate))


def _rate(fps: float, television: bool) -> float:
    from opentimelineio.opentime import RationalTime

    if not fps > 0:
        return _USUAL_RATE
    nearest = float(RationalTime.nearest_smpte_timecode_rate(fps))
    if abs(nearest - fps) < 0.01:
        return nearest
    if not television:
        return fps
    return _TELEVISION
