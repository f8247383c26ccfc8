"""Dividing a file into windows."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.media.segmentation import Segmentation, windows
from quartet.errors import InputError


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (4.0, [(0, 4)]),
        (5.0, [(0, 5)]),
        (9.0, [(0, 5), (4, 9)]),
        # Five seconds more than a window's turn would leave: it begins earlier.
        (12.0, [(0, 5), (4, 9), (7, 12)]),
        # Hardly anything is left for one more.
        (13.01, [(0, 5), (4, 9), (8, 13.01)]),
    ],
)
def test_windows_share_their_overlap(duration: float, expected: list[tuple[float, float]]) -> None:
    assert windows(duration, 5.0, 1.0) == [pytest.approx(span) for span in expected]


@settings(deadline=None)
@given(st.floats(0.04, 500), st.floats(1, 600).flatmap(lambda w: st.tuples(st.just(w), st.floats(0, 0.9 * w))))
def test_windows_cover_the_video_in_order(duration: float, size: tuple[float, float]) -> None:
    length, overlap = size
    found = windows(duration, length, overlap)
    assert found[0].start == 0.0
    assert found[-1].end == pytest.approx(duration)
    for before, after in pairwise(found):
        assert before.start <= after.start <= before.end + 1e-6
        assert before.end <= after.end
    for span in found:
        assert span.end - span.start <= length + (length - overlap) / 10 + 1e-6
        assert span.end - span.start >= min(duration, length) - 1e-6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "scene"}, "whole, window or shot, not by 'scene'"),
        ({"window": 0.0}, "at least 0.1 s, not 0 s"),
        ({"window": 10.0, "overlap": 9.5}, "from 0 to 9 s, not 9.5 s"),
        ({"overlap": -1.0}, "not -1 s"),
        ({"threshold": 0.0}, "above 0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(given: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Segmentation(**given)


@pytest.mark.parametrize(
    ("segmentation", "text"),
    [
        (Segmentation(), "whole"),
        (Segmentation("window", window=7.25, overlap=0.1), "window 7.25 0.1"),
        (Segmentation("shot", threshold=30.0), "shot 30"),
    ],
)
def test_a_segmentation_is_written_down_and_read_back(segmentation: Segmentation, text: str) -> None:
    assert segmentation.text == text
    assert Segmentation.parse(text) == segmentation
