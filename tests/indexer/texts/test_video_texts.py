"""Subtitles next to videos and inside them, as indexing reads them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from indexer.catalog.text_reader import clips_by_text, lines_with, text_links
from indexer.ingest.index_run import index_videos
from indexer.media.segmentation import Segmentation
from indexer.search.filters import ClipFilter
from indexer.store.library import Library
from indexer.texts.video_texts import language_of, subtitles_beside
from model.fake_encoder import FakeEncoder

pytestmark = pytest.mark.usefixtures("decoding_here")

CUES = ((0.5, 1.5, "Interest rates are rising"), (2.0, 3.0, "The café closes at noon"))


def srt(cues: Sequence[tuple[float, float, str]]) -> str:
    def stamp(seconds: float) -> str:
        return f"00:00:{int(seconds):02d},{round(1000 * (seconds % 1)):03d}"

    return "\n".join(f"{i}\n{stamp(a)} --> {stamp(b)}\n{text}\n" for i, (a, b, text) in enumerate(cues, 1))


def film(path: Path, subtitles: Path | None = None) -> None:
    """Four seconds of one colour, with a stream of subtitles if a file of them is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        # A colour of its own: the same content would be the same video.
        picture = np.full((48, 64, 3), sum(path.name.encode()) % 200, np.uint8)
        packets = [
            packet for _ in range(40) for packet in video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24"))
        ]
        if subtitles is None:
            output.mux([*packets, *video.encode(None)])
            return
        with av.open(str(subtitles)) as source:
            stream = output.add_stream_from_template(source.streams.subtitles[0])
            stream.metadata["language"] = "ger"
            output.mux([*packets, *video.encode(None)])
            for packet in source.demux():
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)


def windows(library: Path, folder: Path, **options: object) -> object:
    segmentation = Segmentation("window", window=2, overlap=0)
    return index_videos(library, [folder], FakeEncoder(), segmentation=segmentation, **options)


def test_texts_beside_and_inside(tmp_path: Path) -> None:
    folder, aside = tmp_path / "films", tmp_path / "aside.srt"
    aside.write_text(srt(CUES), encoding="utf-8")
    film(folder / "inside.mkv", aside)
    film(folder / "beside.mp4")
    (folder / "beside.en.srt").write_text(srt(CUES[:1]), encoding="utf-8")
    (folder / "beside.broken.srt").write_text("no times here\n\n", encoding="utf-8")
    report = windows(tmp_path / "library", folder)
    assert (report.indexed, report.texts.lines, report.texts.files) == (2, 3, 2)
    assert [(refused.path.name, refused.reason) for refused in report.refused] == [("beside.broken.srt", "unreadable")]
    with Library.open(tmp_path / "library") as library:
        clips = {clip.id: (clip.title, clip.start) for clip in library.catalog.list_clips()}
        table = library.clip_table()
        texts, owners = text_links(library.catalog, table)
        assert {clips[clip] for clip in owners.tolist()} == {("inside", 0.0), ("inside", 2.0), ("beside", 0.0)}
        assert len(set(texts.tolist())) == 2
        assert len(library.current().captions) == 2

        def found(**conditions: object) -> set[tuple[str, float]]:
            wanted = ClipFilter(**conditions)
            ids = clips_by_text(library.catalog, table, wanted).tolist()
            assert ids == library.select_clips(wanted).tolist()
            return {clips[clip] for clip in ids}

        assert found(words='"interest rates"') == {("inside", 0.0), ("beside", 0.0)}
        assert found(words='"rates interest"') == set()
        assert found(words="RATES interest") == {("inside", 0.0), ("beside", 0.0)}
        assert found(words="cafe") == {("inside", 2.0)}
        assert found(words="interest", languages=frozenset({"en-GB"})) == {("beside", 0.0)}
        assert found(languages=frozenset({"deu"})) == {("inside", 0.0), ("inside", 2.0)}
        assert found(has_text=False) == {("beside", 2.0)}
        beside = next(clip for clip, where in clips.items() if where == ("beside", 0.0))
        line = lines_with(library.catalog, [beside], "rates")[beside]
        assert (line.text, line.start, line.end, line.source, line.language) == (
            CUES[0][2], 0.5, 1.5, "beside.en.srt", "en",
        )  # fmt: skip


def test_texts_follow_their_files(tmp_path: Path) -> None:
    folder, library = tmp_path / "films", tmp_path / "library"
    film(folder / "a.mp4")
    file = folder / "a.srt"
    file.write_text(srt(CUES[:1]), encoding="utf-8")

    def told() -> list[str]:
        with Library.open(library) as opened:
            clip = opened.catalog.list_clips()[0]
            return [caption.text for caption in opened.catalog.captions_of(clip.id)]

    assert windows(library, folder, texts=False).texts.lines == 0
    assert told() == []
    assert windows(library, folder).texts.lines == 1
    assert told() == [CUES[0][2]]
    assert windows(library, folder).texts.lines == 0
    file.write_text(srt([(0.2, 0.8, "Something else")]), encoding="utf-8")
    os.utime(file, (1, 1))
    assert windows(library, folder).texts.lines == 1
    assert told() == ["Something else"]
    file.unlink()
    windows(library, folder)
    assert told() == []


def test_a_file_belongs_to_the_longest_name_that_it_begins_with(tmp_path: Path) -> None:
    names = ("talk.srt", "talk.en.VTT", "talk.part2.srt", "talker.srt", "other.srt")
    for name in names:
        (tmp_path / name).touch()
    videos = [tmp_path / name for name in ("talk.mp4", "talk.mkv", "talk.part2.mp4")]
    found = {video.name: [path.name for path in own] for video, own in subtitles_beside(videos).items()}
    assert found == {
        "talk.mp4": ["talk.en.VTT", "talk.srt"],
        "talk.mkv": ["talk.en.VTT", "talk.srt"],
        "talk.part2.mp4": ["talk.part2.srt"],
    }
    languages = {name: language_of(Path(name)) for name in ("a.srt", "a.eng.forced.srt", "a.pt-BR.srt", "a.1080p.srt")}
    assert languages == {"a.srt": None, "a.eng.forced.srt": "en", "a.pt-BR.srt": "pt", "a.1080p.srt": None}
