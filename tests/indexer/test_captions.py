"""Captions: read from three kinds of files, kept once, tied to their clips."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.build import index_videos
from indexer.captions import add_captions, read_captions
from indexer.library import Library
from indexer.search import search
from model.errors import InputError, LibraryError
from model.fake import FakeEncoder


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


@pytest.fixture
def library(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> Path:
    index_videos(tmp_path / "lib", [videos], encoder)
    return tmp_path / "lib"


def test_reads_text_jsonl_and_csv(tmp_path: Path) -> None:
    text = write(tmp_path / "c.txt", "\ufeffa dog\n\n  a   cat \n")
    jsonl = write(tmp_path / "c.jsonl", '{"caption": "a dog", "video": "a"}\n\n{"text": "a cat"}\n')
    dataset = write(tmp_path / "d.jsonl", '{"video": "a", "captions": ["one", "two"], "split": "test"}\n')
    assert list(read_captions(dataset)) == [("one", "a"), ("two", "a")]
    table = write(tmp_path / "c.csv", 'video,caption\na,"a dog, running"\n,a cat\n')
    assert list(read_captions(text)) == [("a dog", None), ("a cat", None)]
    assert list(read_captions(jsonl)) == [("a dog", "a"), ("a cat", None)]
    assert list(read_captions(table)) == [("a dog, running", "a"), ("a cat", None)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.srt", "1", r"c\.srt: captions are read from"),
        ("c.txt", " \n", r"c\.txt holds no captions"),
        ("c.jsonl", '{"caption": "x"}\nnonsense', r"c\.jsonl, line 2: not a JSON object"),
        ("c.jsonl", '["x"]', r'c\.jsonl, line 1: needs a "caption"'),
        ("c.jsonl", '{"caption": 5}', r"c\.jsonl, line 1: needs"),
        ("c.csv", "name,words\na,b\n", r"c\.csv, line 2: needs"),
    ],
)
def test_says_which_line_cannot_be_used(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(read_captions(write(tmp_path / name, content)))


def test_refuses_what_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_bytes(b"caf\xe9 in latin-1")
    with pytest.raises(InputError, match="not UTF-8"):
        list(read_captions(tmp_path / "c.txt"))
    with pytest.raises(InputError, match="cannot be read"):
        list(read_captions(tmp_path / "gone.txt"))


def test_captions_are_found_by_a_clip_and_know_their_clip(tmp_path: Path, library: Path, encoder: FakeEncoder) -> None:
    lines = [
        '{"caption": "a red dog running", "video": "a.mp4"}',
        '{"caption": "a blue cat sleeping", "video": "more/d.mp4"}',
        '{"caption": "a red dog running", "video": "b"}',
        '{"caption": "nobody knows", "video": "elsewhere.mp4"}',
        '{"caption": "no verb at all"}',
    ]
    report = add_captions(library, write(tmp_path / "c.jsonl", "\n".join(lines)), encoder)
    assert (report.added, report.duplicates, report.total, report.unmatched) == (4, 1, 4, 1)
    with Library.open(library) as opened:
        clips = {clip.path.name: clip.id for clip in opened.catalog.list_clips()}
        gallery = opened.current().captions
        assert gallery.ids.tolist() == [1, 2, 3, 4]
        assert gallery.present[3].tolist() == [True, True, False, True]
        found = opened.catalog.captions([1, 2, 3, 99])
        assert set(found) == {1, 2, 3}
        assert (found[1].text, found[1].source, found[1].clip_id) == ("a red dog running", "c.jsonl", clips["a.mp4"])
        assert (found[2].clip_id, found[3].clip_id) == (clips["d.mp4"], None)
        assert [caption.id for caption in opened.catalog.captions_of(clips["b.mp4"])] == [1]
        assert opened.catalog.captions_of(clips["c.mp4"]) == []
        query = encoder.encode_texts(["a blue cat sleeping"]).vectors
        best = search(gallery, encoder.spec.levels, query, 1, {"global": 0.0}).hits[0]
        assert (best.id, best.score) == (2, pytest.approx(1.0))


def test_adding_again_encodes_nothing_and_indexing_keeps_captions(
    tmp_path: Path, library: Path, videos: Path, encoder: FakeEncoder
) -> None:
    file = write(tmp_path / "c.jsonl", '{"caption": "a dog running", "video": "a"}\n{"caption": "a cat"}\n')
    first = add_captions(library, file, encoder)
    again = add_captions(library, file, encoder)
    assert (again.added, again.duplicates, again.total) == (0, 2, 2)
    assert again.generation == first.generation
    (videos / "a.mp4").unlink()
    index_videos(library, [videos], encoder)
    with Library.open(library) as opened:
        assert opened.current().captions.ids.tolist() == [1, 2]
        assert opened.catalog.caption(1).clip_id is None
        assert opened.catalog.counts().captions == 2


def test_a_caption_follows_a_video_that_changes(
    tmp_path: Path, library: Path, videos: Path, encoder: FakeEncoder
) -> None:
    add_captions(library, write(tmp_path / "c.csv", "video,text\na,a dog running\n"), encoder)
    (videos / "b.mp4").replace(videos / "a.mp4")
    (videos / "e.mp4").write_bytes((videos / "more" / "e.mp4").read_bytes())
    index_videos(library, [videos], encoder)
    with Library.open(library) as opened:
        # The words described what was at a.mp4 before; the video that is there now came from b.mp4.
        assert opened.catalog.caption(1).clip_id is None


def test_needs_a_library(tmp_path: Path, encoder: FakeEncoder) -> None:
    with pytest.raises(LibraryError, match="There is no library"):
        add_captions(tmp_path / "lib", write(tmp_path / "c.txt", "a dog\n"), encoder)
