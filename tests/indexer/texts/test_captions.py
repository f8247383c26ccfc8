"""Captions: read from five kinds of files, kept once, tied to their clips."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest
from sqlalchemy import insert, select, update

from indexer.catalog.schema import caption_sources, clips
from indexer.ingest.index_run import index_videos
from indexer.search.top_k import search
from indexer.store.library import Library
from indexer.texts.caption_files import CaptionEntry, read_captions
from indexer.texts.captions import add_captions
from model.fake_encoder import FakeEncoder
from quartet.errors import InputError, LibraryError

pytestmark = pytest.mark.usefixtures("decoding_here")


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


@pytest.fixture
def library(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> Path:
    index_videos(tmp_path / "lib", [videos], encoder)
    return tmp_path / "lib"


@pytest.mark.parametrize("name", ["c.jsonl", "c.csv"])
@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("1", "2.5", (1.0, 2.5)),
        ("0", "0", (0.0, 0.0)),
        ("1:05", "00:01:06,25", (65.0, 66.25)),
        ("1:00:00", "1:00:00.5", (3600.0, 3600.5)),
        ("", "", (None, None)),
    ],
)
def test_captions_in_tables_may_have_times(
    tmp_path: Path, name: str, start: str, end: str, expected: tuple[float | None, float | None]
) -> None:
    """As seconds or as a clock shows them, where a number stays one in JSON."""
    number = lambda text: text if text.replace(".", "").isdigit() else f'"{text}"'  # noqa: E731
    rows = {
        "c.jsonl": f'{{"captions": ["a dog"], "video": "a", "start": {number(start)}, "end": {number(end)}}}',
        "c.csv": f'caption,video,start,end\na dog,a,"{start}","{end}"\n',
    }
    assert list(read_captions(write(tmp_path / name, rows[name]))) == [CaptionEntry("a dog", "a", *expected)]


def test_reads_text_jsonl_and_csv(tmp_path: Path) -> None:
    text = write(tmp_path / "c.txt", "\ufeffa dog\n\n  a   cat \n")
    jsonl = write(tmp_path / "c.jsonl", '{"caption": "a dog", "video": "a"}\n\n{"text": "a cat"}\n')
    dataset = write(tmp_path / "d.jsonl", '{"video": "a", "captions": ["one", "two"], "split": "test"}\n')
    assert list(read_captions(dataset)) == [CaptionEntry("one", "a"), CaptionEntry("two", "a")]
    table = write(tmp_path / "c.csv", 'video,caption\na,"a dog, running"\n,a cat\n')
    assert list(read_captions(text)) == [CaptionEntry("a dog"), CaptionEntry("a cat")]
    assert list(read_captions(jsonl)) == [CaptionEntry("a dog", "a"), CaptionEntry("a cat")]
    assert list(read_captions(table)) == [CaptionEntry("a dog, running", "a"), CaptionEntry("a cat")]


def test_reads_subrip_subtitles(tmp_path: Path) -> None:
    content = """\ufeff1
00:00:01,000 --> 00:00:03,500
{\\an8}<i>A dog</i> runs
after a ball.

2
01:00:00,000 --> 01:00:02,000

3
01:00:03,000 --> 01:00:04,000 X1:40 X2:600
- Fish &amp; chips?
"""
    found = list(read_captions(write(tmp_path / "talk.en.srt", content)))
    assert found == [
        CaptionEntry("A dog runs after a ball.", "talk.en", 1.0, 3.5),
        CaptionEntry("- Fish & chips?", "talk.en", 3603.0, 3604.0),
    ]


def test_reads_webvtt_subtitles(tmp_path: Path) -> None:
    content = """WEBVTT - a talk

NOTE not a cue

STYLE
::cue { color: red }

intro
00:01.000 --> 00:03.000 align:start position:10%
<v Anna>A cat <00:02.000>sleeps

00:00:03.000 --> 00:00:04.25
It wakes.
"""
    found = list(read_captions(write(tmp_path / "talk.vtt", content)))
    assert found == [CaptionEntry("A cat sleeps", "talk", 1.0, 3.0), CaptionEntry("It wakes.", "talk", 3.0, 4.25)]


def test_what_ends_a_line_elsewhere_does_not_here(tmp_path: Path) -> None:
    odd = "a\u2028dog"
    assert list(read_captions(write(tmp_path / "c.jsonl", f'{{"caption": "{odd}"}}\n'))) == [CaptionEntry("a dog")]
    assert list(read_captions(write(tmp_path / "c.csv", 'caption\n"a\n cat"\n'))) == [CaptionEntry("a cat")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.doc", "1", r"c\.doc: captions are read from .*\.vtt"),
        ("c.srt", "1\n00:00:01,000 --> 00:00:02,000\nA\n\nB\nC\n", r"c\.srt, line 5: a cue needs times"),
        ("c.srt", "1\n00:00:01,000 --> soon\nA", r"c\.srt, line 2: '00:00:01,000 --> soon' is not a cue time"),
        ("c.vtt", "WEBVTT\n\n00:02.000 --> 00:01.000\nA", r"c\.vtt, line 3: the cue ends before it begins"),
        ("c.vtt", "WEBVTT\n", r"c\.vtt has no captions"),
        ("c.txt", " \n", r"c\.txt has no captions"),
        ("c.jsonl", '{"caption": "x"}\nnonsense', r"c\.jsonl, line 2: not a JSON object"),
        ("c.jsonl", '["x"]', r'c\.jsonl, line 1: needs a "caption"'),
        ("c.jsonl", '{"caption": 5}', r"c\.jsonl, line 1: needs"),
        ("c.jsonl", '{"caption": "x", "start": 3}', r'c\.jsonl, line 1: "start" and "end".*3 and None'),
        ("c.jsonl", '{"caption": "x", "start": 3, "end": 2}', r"must not be after end"),
        ("c.jsonl", '{"caption": "x", "start": -1, "end": 2}', r"must both be times"),
        ("c.jsonl", '{"caption": "x", "start": NaN, "end": Infinity}', r"must both be times"),
        ("c.jsonl", '{"caption": "x", "start": 0, "end": 1%s}' % ("0" * 400), r"must both be times"),
        ("c.jsonl", '{"caption": "x", "start": true, "end": 2}', r"must both be times"),
        ("c.jsonl", '{"caption": "x", "start": [1], "end": 2}', r"must both be times"),
        ("c.csv", "caption,start,end\nx,0:00,soon\n", r"c\.csv, line 2: .*'0:00' and 'soon'"),
        ("c.csv", "name,words\na,b\n", r"c\.csv, line 1: needs a header"),
        ("c.ass", "[Events]\nDialogue: 0,now,later,a\n", r"c\.ass, line 2: an event needs the fields Start"),
        ("c.jsonl", "[" * 100_000, r"c\.jsonl, line 1: not a JSON object"),
    ],
)
def test_says_which_line_cannot_be_used(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(read_captions(write(tmp_path / name, content)))


@pytest.mark.parametrize("name", ["talk.ass", "talk.ssa"])
def test_reads_ass(tmp_path: Path, name: str) -> None:
    """Advanced SubStation Alpha: the fields of an event are named, its text is the last and may have commas."""
    content = (
        "[Script Info]\r\nTitle: x\r\n\r\n[V4+ Styles]\r\nFormat: Name, Start\r\nStyle: Default,x\r\n\r\n[Events]\r\n"
        "Format: Layer, Start, End, Style, Text\r\n"
        "Dialogue: 0,0:00:01.00,0:00:02.50,Default,{\\b1}Bold, with comma{\\b0}\\Nnext line\r\n"
        "Comment: 0,0:00:03.00,0:00:04.00,Default,not shown\r\n"
        "Dialogue: 0,0:00:03.00,0:00:04.00,Default,{\\p1}m 0 0 l 100 0{\\p0}\r\n"
        "Dialogue: 0,1:00:00.25,1:00:01.00,Default,late\r\n"
    )
    texts = [CaptionEntry("Bold, with comma next line", "talk", 1, 2.5), CaptionEntry("late", "talk", 3600.25, 3601)]
    assert list(read_captions(write(tmp_path / name, content))) == texts


@pytest.mark.parametrize("header", ["video;caption", "Video\tCaption", " video | TEXT ", '"video", "text"'])
def test_reads_csv_of_every_delimiter(tmp_path: Path, header: str) -> None:
    """Spreadsheets write semicolons where the comma is the decimal sign, and names of columns as typed."""
    mark = next(mark for mark in ";\t|," if mark in header)
    rows = f'{header}\r\na{mark} "a dog{mark} running"\r\n\r\n{mark}a cat\r\n'
    entries = [CaptionEntry(" ".join(f"a dog{mark} running".split()), "a"), CaptionEntry("a cat")]
    assert list(read_captions(write(tmp_path / "c.csv", rows))) == entries


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("name", ["c.srt", "c.vtt", "c.txt", "c.jsonl", "c.csv"])
def test_a_mark_says_which_encoding_it_is(tmp_path: Path, name: str, encoding: str) -> None:
    heads = {"c.vtt": "WEBVTT\r\n\r\n", "c.csv": "caption,video\r\n"}
    cue = "00:00:01.000 --> 00:00:02.000\r\n" if name in ("c.srt", "c.vtt") else ""
    text = '{"caption": "ein Bär 🐻"}' if name == "c.jsonl" else "ein Bär 🐻"
    mark = "" if encoding in ("utf-8-sig", "utf-16", "utf-32") else "\ufeff"
    (tmp_path / name).write_bytes(f"{mark}{heads.get(name, '')}{cue}{text}\r\n".encode(encoding))
    assert [entry.text for entry in read_captions(tmp_path / name)] == ["ein Bär 🐻"]


def test_a_file_in_another_encoding_is_told_with_the_place_and_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "mein film.srt").write_bytes("1\n00:00:01,000 --> 00:00:02,000\nein Bär\n".encode("latin-1"))
    expected = r"line 3 contains the byte 0xe4. Save it as UTF-8 .*iconv -f WINDOWS-1252 -t UTF-8 'mein film.srt'"
    with pytest.raises(InputError, match=expected):
        list(read_captions(tmp_path / "mein film.srt"))
    (tmp_path / "half.srt").write_bytes(b"\xff\xfea\0b")
    with pytest.raises(InputError, match="begins like UTF-16 but is damaged"):
        list(read_captions(tmp_path / "half.srt"))


def test_names_in_either_unicode_form(tmp_path: Path, encoder: FakeEncoder, videos: Path) -> None:
    one, other = normalize("NFD", "Überfülle"), normalize("NFC", "Grün é")
    (videos / "a.mp4").rename(videos / f"{one}.mp4")
    (videos / "b.mp4").rename(videos / f"{other}.mp4")
    index_videos(tmp_path / "lib", [videos], encoder)
    for title in (one, other):
        for form in ("NFC", "NFD"):
            name = normalize(form, title)
            with Library.open(tmp_path / "lib") as library:
                for word in (name.split()[0], name.upper().split()[0], normalize(form, name[:4])):
                    assert [found.title for found in library.catalog.list_videos(words=[word])] == [title]
                    assert library.catalog.count_videos([word]) == 1
            file = write(tmp_path / f"{name}.srt", f"1\n00:00:00,000 --> 00:00:00,500\nof {name}\n")
            assert add_captions(tmp_path / "lib", file, encoder).unmatched == 0
            assert add_captions(tmp_path / "lib", file, encoder, video=f"{name}.mp4").unmatched == 0


def test_refuses_what_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_bytes(b"caf\xe9 in latin-1")
    with pytest.raises(InputError, match="not UTF-8"):
        list(read_captions(tmp_path / "c.txt"))
    (tmp_path / "c.txt").write_bytes("a dog".encode("utf-16-le"))
    with pytest.raises(InputError, match="zero bytes"):
        list(read_captions(tmp_path / "c.txt"))
    for escaped in (r"\u0000", r"\ud83d"):
        with pytest.raises(InputError, match=r"c\.jsonl: the caption 'half .* an invalid character"):
            list(read_captions(write(tmp_path / "c.jsonl", f'{{"caption": "half {escaped}"}}')))
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


def test_subtitles_belong_to_the_clips_at_their_times(tmp_path: Path, library: Path, encoder: FakeEncoder) -> None:
    cues = "".join(
        f"00:00:0{i}.000 --> 00:00:0{i}.900\n{text}\n\n" for i, text in enumerate(("a dog", "a cat", "a dog"))
    )
    report = add_captions(library, write(tmp_path / "a.en.vtt", f"WEBVTT\n\n{cues}"), encoder)
    assert (report.added, report.duplicates, report.unmatched) == (2, 1, 0)
    again = add_captions(library, tmp_path / "a.en.vtt", encoder)
    assert (again.added, again.generation) == (0, report.generation)
    with Library.open(library) as opened, opened.catalog.engine.begin() as connection:
        (video,) = (video for video in opened.catalog.list_videos() if video.title == "a")
        sources = select(caption_sources.c["caption_id", "video_id", "start", "end"])
        assert {tuple(row) for row in connection.execute(sources)} == {
            (1, video.id, 0.0, 0.9),
            (2, video.id, 1.0, 1.9),
            (1, video.id, 2.0, 2.9),
        }
        # As if the video had been cut into windows of a second.
        first = next(clip.id for clip in opened.catalog.list_clips() if clip.video_id == video.id)
        connection.execute(update(clips).where(clips.c.id == first).values(end=1.0))
        for i in (1, 2):
            connection.execute(insert(clips).values(id=100 + i, video_id=video.id, start=float(i), end=i + 1.0))
        connection.commit()
        assert [[c.text for c in opened.catalog.captions_of(clip)] for clip in (first, 101, 102)] == [
            ["a dog"],
            ["a cat"],
            ["a dog"],
        ]
        found = opened.catalog.captions([1, 2])
        assert (found[1].clip_id, found[2].clip_id) == (first, 101)


def test_a_video_can_be_named_for_all_captions_of_a_file(tmp_path: Path, library: Path, encoder: FakeEncoder) -> None:
    cue = write(tmp_path / "zzz.srt", "00:00:00,000 --> 00:00:00,500\na bird\n")
    assert add_captions(library, cue, encoder).unmatched == 1
    add_captions(library, write(tmp_path / "c.txt", "a fish\n"), encoder, "more/d.mp4")
    assert add_captions(library, cue, encoder, "d").unmatched == 0
    with Library.open(library) as opened:
        clips = {clip.path.name: clip.id for clip in opened.catalog.list_clips()}
        assert [caption.text for caption in opened.catalog.captions_of(clips["d.mp4"])] == ["a bird", "a fish"]
    with pytest.raises(InputError, match=r"no video 'x\.mp4'"):
        add_captions(library, cue, encoder, "x.mp4")


def test_a_catalogue_without_times_gets_them(library: Path) -> None:
    with Library.open(library) as opened, opened.catalog.engine.begin() as connection:
        for name in ("start", "end"):
            connection.exec_driver_sql(f'alter table caption_sources drop column "{name}"')
    with Library.open(library) as opened, opened.catalog.engine.connect() as connection:
        assert connection.execute(select(caption_sources.c["start", "end"])).all() == []


def test_needs_a_library(tmp_path: Path, encoder: FakeEncoder) -> None:
    with pytest.raises(LibraryError, match="There is no library"):
        add_captions(tmp_path / "lib", write(tmp_path / "c.txt", "a dog\n"), encoder)
