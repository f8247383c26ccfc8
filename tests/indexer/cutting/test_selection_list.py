"""Selections as lists, read back by what reads such lists."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from indexer.cutting.selection_list import FORMATS, Selected, as_list
from quartet.errors import InputError

CLIPS = (
    Selected(3, "a talk", "/films/a talk.mp4", 2.0, 4.52, 25.0, 60.0),
    Selected(9, "ä film", "/films/b.mkv", 0.0, 1.001, 29.97, 10.0),
)


def test_csv() -> None:
    rows = list(csv.DictReader(StringIO(as_list(CLIPS, "csv"))))
    assert [(row["clip_id"], float(row["start"]), float(row["end"])) for row in rows] == [
        ("3", 2, 4.52),
        ("9", 0, 1.001),
    ]


def test_m3u8() -> None:
    lines = as_list(CLIPS, "m3u8").splitlines()
    assert lines[0] == "#EXTM3U"
    assert lines[1:5] == [
        "#EXTINF:2.520,a talk", "#EXTVLCOPT:start-time=2.000", "#EXTVLCOPT:stop-time=4.520", CLIPS[0].media,
    ]  # fmt: skip


@pytest.mark.parametrize(("format", "adapter"), [("otio", "otio_json"), ("edl", "cmx_3600"), ("fcpxml", "fcpx_xml")])
def test_editing_lists_are_right_to_half_a_frame(format: str, adapter: str) -> None:
    otio = pytest.importorskip("opentimelineio")
    options = {"rate": 25.0} if format == "edl" else {}
    read = otio.adapters.read_from_string(as_list(CLIPS[:1], format), adapter, **options)
    (clip,) = read.find_clips()
    begin = clip.source_range.start_time.to_seconds()
    length = clip.source_range.duration.to_seconds()
    assert begin == pytest.approx(2.0, abs=0.5 / 25)
    assert begin + length == pytest.approx(4.52, abs=1 / 25)


def test_every_format_takes_every_rate() -> None:
    pytest.importorskip("opentimelineio")
    for rate in (0.0, 10.0, 15.0, 23.976, 24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0, 1000.0):
        for format in FORMATS:
            assert as_list([Selected(1, "x", "/x.mp4", 0.3, 2.7, rate, 3.0)], format)


def test_what_cannot_be_written() -> None:
    with pytest.raises(InputError, match="empty"):
        as_list((), "csv")
    with pytest.raises(InputError, match="csv, m3u8, otio, edl, fcpxml"):
        as_list(CLIPS, "avi")
