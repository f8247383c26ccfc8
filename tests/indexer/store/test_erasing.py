"""What was removed is in no answer, and after the next generation in no file: its bytes are searched for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.storage.stand_in_videos import write_stand_in
from indexer.ingest.index_run import index_videos
from indexer.search.vectors.gallery import Gallery
from indexer.store import segment_plan
from indexer.store.layout import thumbnail_path
from indexer.store.library import Library
from indexer.store.management import remove_videos, tag_videos
from indexer.store.verification import verify_library
from indexer.texts.captions import add_captions, remove_captions
from model.fake_encoder import FakeEncoder
from quartet.errors import InputError

TEXT = "a platypus whispering secrets"


@pytest.fixture
def library(tmp_path: Path, stand_ins: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One whose galleries are added to rather than written again, as large ones are."""
    monkeypatch.setattr(segment_plan, "_SMALL", 1)
    monkeypatch.setattr(segment_plan, "_TIER", 1)
    monkeypatch.setattr(segment_plan, "_REMOVED", 1)
    path = tmp_path / "lib"
    write_stand_in(stand_ins / "zebra.mp4", 7)
    index_videos(path, [stand_ins], encoder)
    (tmp_path / "secret.txt").write_text(f"{TEXT}\na cat\n")
    (tmp_path / "other.txt").write_text("a cat\nthe dog\n")
    for name in ("secret.txt", "other.txt"):
        add_captions(path, tmp_path / name, encoder)
    tag_videos(path, [stand_ins / "zebra.mp4"], add=["wildlife"])
    return path


def rows_of(gallery: Gallery, item: int) -> list[bytes]:
    return [rows.tobytes() for rows in gallery.vectors([item]).values()]


def holding(library: Path, wanted: list[bytes]) -> list[str]:
    """The files in which any of these bytes are."""
    files = [path for path in library.rglob("*") if path.is_file()]
    contents = {str(path.relative_to(library)): path.read_bytes() for path in files}
    return [name for name, content in contents.items() if any(each in content for each in wanted)]


def more_videos(library: Path, stand_ins: Path) -> None:
    write_stand_in(stand_ins / "next.mp4", 8)
    index_videos(library, [stand_ins], FakeEncoder())


def no_change(library: Path, stand_ins: Path) -> None:
    index_videos(library, [stand_ins], FakeEncoder())


def another_removal(library: Path, stand_ins: Path) -> None:
    remove_videos(library, [stand_ins / "1.mp4"])


def nothing_but_erasing(library: Path, stand_ins: Path) -> None:
    assert remove_videos(library, [], erase_now=True).removed == 0


@pytest.mark.parametrize("after", [more_videos, no_change, another_removal, nothing_but_erasing, None])
def test_a_removed_video_leaves_nothing(
    library: Path, stand_ins: Path, after: Callable[[Path, Path], None] | None
) -> None:
    with Library.open(library) as opened:
        (video,) = opened.catalog.list_videos(words=["zebra"])
        (clip,) = opened.catalog.list_clips(video_id=video.id)
        traces = [*rows_of(opened.current().clips, clip.id), b"zebra", b"picture of 7", b"wildlife"]
        codes = opened.current().clips.coded_rows("global", opened.current().clips.positions([clip.id]))[0]
        traces.append(codes.astype(np.int8).tobytes())
    assert len(holding(library, traces)) > 5
    remove_videos(library, [stand_ins / "zebra.mp4"], erase_now=after is None)
    with Library.open(library) as opened:
        live = f"generations/{opened.current().name}/"
        assert clip.id not in opened.current().clips
    left = holding(library, traces)
    if after is not None:
        assert [name for name in left if name.startswith(live)], "a large segment should not be written again for it"
        assert verify_library(library) == []
        (stand_ins / "zebra.mp4").unlink()
        after(library, stand_ins)
        with Library.open(library) as opened:
            assert list((library / "generations").iterdir()) == [library / "generations" / opened.current().name]
        left = holding(library, traces)
    assert left == []
    assert not thumbnail_path(library, clip.id).exists()
    assert verify_library(library) == []


@pytest.mark.parametrize("now", [False, True])
def test_a_removed_caption_leaves_nothing(library: Path, stand_ins: Path, encoder: FakeEncoder, now: bool) -> None:
    with Library.open(library) as opened:
        ids = {caption.text: caption.id for caption in opened.catalog.list_captions()}
        traces = [*rows_of(opened.current().captions, ids[TEXT]), TEXT.encode()]
    report = remove_captions(library, [TEXT], erase_now=now)
    assert (report.removed, report.total) == (1, 2)
    with Library.open(library) as opened:
        assert ids[TEXT] not in opened.current().captions
        assert TEXT not in {caption.text for caption in opened.catalog.list_captions()}
    if not now:
        write_stand_in(stand_ins / "next.mp4", 8)
        index_videos(library, [stand_ins], encoder)
    assert holding(library, traces) == []
    assert verify_library(library) == []


def test_captions_of_a_file_go_unless_another_file_gave_them_too(library: Path, tmp_path: Path) -> None:
    assert remove_captions(library, sources=["secret.txt"]).removed == 1
    with Library.open(library) as opened:
        left = {caption.text: caption.source for caption in opened.catalog.list_captions()}
    assert left == {"a cat": "other.txt", "the dog": "other.txt"}
    with pytest.raises(InputError, match=r"no captions from .secret"):
        remove_captions(library, sources=["secret.txt"])
    with pytest.raises(InputError, match="no caption 'a bird'"):
        remove_captions(library, ["the dog", "a bird"])
    assert len(left) == 2


def test_a_removed_caption_can_be_added_again_at_once(library: Path, tmp_path: Path, encoder: FakeEncoder) -> None:
    remove_captions(library, [TEXT])
    report = add_captions(library, tmp_path / "secret.txt", encoder)
    assert (report.added, report.total) == (1, 3)
    assert verify_library(library) == []
