"""Texts that are made of videos: by a stub, and by reading what is written on screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from indexer.catalog.records import Video
from indexer.catalog.text_reader import lines_with
from indexer.ingest.index_run import index_videos
from indexer.media.subtitle_streams import StreamText
from indexer.store.library import Library
from indexer.texts.text_makers import ScreenText
from model.fake_encoder import FakeEncoder

pytestmark = pytest.mark.usefixtures("decoding_here")


def film(path: Path) -> None:
    """Four seconds; "INTEREST RATES" is written on the second half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=5)
        video.width, video.height, video.pix_fmt = 320, 192, "yuv420p"
        for i in range(20):
            picture = np.full((192, 320, 3), 240, np.uint8)
            if i >= 10:
                cv2.putText(picture, "INTEREST RATES", (20, 100), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (10, 10, 10), 2)
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(video.encode(None))


class Stub:
    """What a model of speech would give."""

    name = "said"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def texts(self, video: Video) -> Iterator[StreamText]:
        self.asked.append(video.title)
        yield StreamText(1.0, 2.0, "rates are rising", "eng")


def test_texts_are_made_once_and_stay(tmp_path: Path) -> None:
    folder, library, maker = tmp_path / "films", tmp_path / "library", Stub()
    film(folder / "a.mp4")
    index_videos(library, [folder], FakeEncoder(), makers=[maker])
    index_videos(library, [folder], FakeEncoder(), makers=[maker])
    index_videos(library, [folder], FakeEncoder())
    assert maker.asked == ["a"]
    with Library.open(library) as opened:
        (clip,) = opened.catalog.list_clips()
        line = lines_with(opened.catalog, [clip.id], "rising")[clip.id]
        assert (line.source, line.start, line.end, line.language) == ("said", 1.0, 2.0, "en")


def test_what_is_written_on_screen(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    pytest.importorskip("onnxruntime")
    folder, library = tmp_path / "films", tmp_path / "library"
    film(folder / "a.mp4")
    index_videos(library, [folder], FakeEncoder(), makers=[ScreenText(4)])
    with Library.open(library) as opened:
        (clip,) = opened.catalog.list_clips()
        line = lines_with(opened.catalog, [clip.id], '"interest rates"')[clip.id]
        assert line.source == "on screen"
        # Frames are sampled at 0.5, 1.5, 2.5 and 3.5 s.
        assert (line.start, line.end) == pytest.approx((2.4, 4.0), abs=0.2)
