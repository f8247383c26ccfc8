"""Texts that are made of videos: by a stub, and by reading what is written on screen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest

from indexer.catalog.records import Video
from indexer.catalog.text_reader import lines_with
from indexer.ingest.index_run import index_videos
from indexer.media.subtitle_streams import StreamText
from indexer.store.library import Library
from indexer.texts.sound import read_sound
from indexer.texts.spoken_text import SpokenText
from indexer.texts.text_makers import ScreenText
from model.fake_encoder import FakeEncoder
from model.speech import RATE, Said, Whisper
from quartet.errors import InputError, ModelError

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


class Listener:
    """Where a model would understand words, it tells how loud each second is."""

    def read(self, sound: np.ndarray) -> Iterator[Said]:
        for second in range(len(sound) // RATE):
            part = sound[second * RATE : (second + 1) * RATE]
            if np.abs(part).max() > 0.1:
                yield Said(float(second), second + 1.0, f"a tone {second}", "en")


def talk(path: Path, start: float) -> None:
    """Four seconds of pictures; sound begins at `start` and lasts three seconds, of which the second one is silent."""
    with av.open(str(path), "w") as output:
        video, audio = output.add_stream("libx264", rate=5), output.add_stream("aac", rate=RATE, layout="mono")
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for _ in range(20):
            picture = np.full((48, 64, 3), 200, np.uint8)
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(video.encode(None))
        tone = np.sin(np.arange(3 * RATE) * 0.2).astype(np.float32) * 0.5
        tone[RATE : 2 * RATE] = 0
        for i in range(0, len(tone), 1000):
            frame = av.AudioFrame.from_ndarray(tone[None, i : i + 1000], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, round(start * RATE) + i, Fraction(1, RATE)
            output.mux(audio.encode(frame))
        output.mux(audio.encode(None))


def test_what_is_said_has_the_times_of_the_player(tmp_path: Path) -> None:
    folder, library = tmp_path / "films", tmp_path / "library"
    folder.mkdir()
    talk(folder / "a.mp4", 1.0)
    film(folder / "silent.mp4")
    report = index_videos(library, [folder], FakeEncoder(), makers=[SpokenText(Listener())])
    assert report.texts.files == 1
    with Library.open(library) as opened:
        clips = [clip.id for clip in opened.catalog.list_clips()]
        first, last = (next(iter(lines_with(opened.catalog, clips, words).values())) for words in ("0", "2"))
        assert (first.source, first.language) == ("speech", "en")
        assert (first.start, first.end, last.start) == pytest.approx((1.0, 2.0, 3.0), abs=0.1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_sound_comes_in_stretches_on_the_player_s_clock(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    talk(path, 0.5)
    (whole,) = read_sound(path, RATE)
    parts = list(read_sound(path, RATE, stretch=1.0))
    assert len(parts) == 3 or len(parts) == 4
    assert whole.start == pytest.approx(0.5, abs=0.1) == parts[0].start
    np.testing.assert_array_equal(np.concatenate([part.samples for part in parts]), whole.samples)
    assert len(whole.samples) == pytest.approx(3 * RATE, abs=0.1 * RATE)
    for before, part in pairwise(parts):
        assert part.start == pytest.approx(before.start + len(before.samples) / RATE, abs=0.02)


def test_without_its_package_or_its_folder_speech_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(InputError, match=r"needs faster-whisper: pip install"):
        Whisper(tmp_path)
    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace(WhisperModel=None))
    with pytest.raises(ModelError, match="contains no Whisper model"):
        Whisper(tmp_path)


def test_whisper_is_asked_as_its_package_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    class Model:
        def __init__(self, folder: str, **options: object) -> None:
            given.update(options, folder=folder)

        def transcribe(self, sound: np.ndarray, vad_filter: bool) -> tuple[list[object], object]:
            said = [(0.5, 1.0, " Good  morning. ", 0.1), (1.0, 2.0, "Thanks for watching!", 0.9), (2.0, 3.0, " ", 0.0)]
            names = ("start", "end", "text", "no_speech_prob")
            segments = [SimpleNamespace(**dict(zip(names, one, strict=True))) for one in said]
            return segments, SimpleNamespace(language="en")

    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace(WhisperModel=Model))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "vocabulary.json").write_text("[]")
    model = Whisper(tmp_path)
    assert given["local_files_only"] is True and given["device"] == "cpu" and given["folder"] == str(tmp_path)
    assert list(model.read(np.zeros(RATE, np.float32))) == [Said(0.5, 1.0, "Good morning.", "en")]
    assert list(model.read(np.zeros(0, np.float32))) == []


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
