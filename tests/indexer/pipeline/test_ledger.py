"""Files that were read twice and changed in between: what does not belong together is not let through."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from indexer.catalog.records import FileState, NewClip
from indexer.media.header import VideoInfo
from indexer.media.segmentation import WHOLE
from indexer.pipeline.file_outcomes import Cut, Encoded, Known, Part
from indexer.pipeline.outcome_ledger import Ledger

INFO = VideoInfo(4.0, 10.0, 8, 8, 40)
CLIPS = [NewClip(0.0, 1.0, {"global": np.zeros(2, np.float32)}, b"", b"")] * 2


def state(content: str, name: str = "a.mp4") -> FileState:
    return FileState(Path("/videos") / name, 1, 0.0, content)


def part(content: str, first: int, kept: int = 0) -> Part:
    return Part(state(content), Cut(WHOLE, kept), first, CLIPS, 2.0)


def whole(content: str, first: int = 0, kept: int = 0, name: str = "a.mp4") -> Encoded:
    return Encoded(state(content, name), Cut(WHOLE, kept), INFO, first, CLIPS, 2.0)


def test_parts_that_follow_each_other_are_let_through() -> None:
    ledger = Ledger()
    assert all(map(ledger.admits, [part("x", 2, kept=2), part("x", 4, kept=2), whole("x", 6, kept=2)]))
    assert ledger.admits(whole("y", name="b.mp4"))


def test_parts_of_another_content_are_not() -> None:
    ledger = Ledger()
    assert ledger.admits(part("x", 0))
    assert not ledger.admits(part("y", 2))
    assert not ledger.admits(whole("x", 2)), "a file that was torn is for another try as a whole"


def test_an_end_without_its_beginning_is_not() -> None:
    ledger = Ledger()
    assert not ledger.admits(whole("x", 2))
    assert not ledger.admits(Known(state("x")))


def test_what_comes_twice_is_let_through_once() -> None:
    ledger = Ledger()
    assert ledger.admits(whole("x"))
    assert not ledger.admits(whole("x"))
