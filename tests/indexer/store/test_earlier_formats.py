"""Libraries that earlier versions wrote (`data/`: two videos, two captions, vectors of four numbers) open and go on."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from indexer.repair.library_repair import repair_library
from indexer.search.approximate.encoding import encoding_of
from indexer.search.top_k import search
from indexer.store import segment_plan
from indexer.store.library import Library
from indexer.store.manifest import format_of
from indexer.store.verification import verify_library
from indexer.texts.captions import add_captions
from model.fake_encoder import FakeEncoder
from quartet.errors import LibraryError

DATA = Path(__file__).with_name("data")


@pytest.fixture(params=[3, 4])
def library(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return unpacked(request.param, tmp_path)


@pytest.fixture
def with_lists(tmp_path: Path) -> Path:
    """Of format 5, with the inverted lists that it had; they were made of one item on."""
    return unpacked(5, tmp_path)


def unpacked(version: int, folder: Path) -> Path:
    with tarfile.open(DATA / f"format-{version}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "library"


def damage(library: Path) -> list[str]:
    return [problem.detail for problem in verify_library(library) if problem.where != "videos"]


def test_it_opens_goes_on_and_becomes_one_of_today(library: Path, tmp_path: Path) -> None:
    encoder = FakeEncoder(dim=4)
    with Library.open(library) as opened:
        assert opened.catalog.generations() == {}
        query = encoder.text_queries(encoder.encode_texts(["a dog running"]).vectors)
        assert len(search(opened.current().clips, encoder.spec.levels, query, 5, {}).hits) == 2
        assert [caption.text for caption in opened.catalog.list_captions()] == ["a dog running", "a cat"]
    assert damage(library) == []
    (tmp_path / "new.txt").write_text("a bird singing\n")
    assert add_captions(library, tmp_path / "new.txt", encoder).total == 3
    assert damage(library) == []
    with Library.open(library) as opened:
        assert opened.current().manifest.format_version == format_of(None)
        assert list(opened.catalog.generations()) == [3, 4] or list(opened.catalog.generations()) == [4]


def test_damage_to_it_is_found_and_healed(library: Path) -> None:
    (codes,) = library.glob("generations/*/clips/0000/entity.codes.npy")
    content = codes.read_bytes()
    codes.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (picture,) = library.glob("thumbnails/000000/1.webp")
    picture.write_bytes(picture.read_bytes()[:50])
    assert len(damage(library)) == 2
    report = repair_library(library, lambda: FakeEncoder(dim=4))
    assert codes.read_bytes() == content
    assert len(report.lost) == 1, "the video of the picture is not there"


def test_a_development_format_is_refused_with_a_way_out(library: Path) -> None:
    (path,) = library.glob("generations/*/manifest.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 2}))
    with pytest.raises(LibraryError, match=r"format version 2.*Index the videos into a new library"):
        Library.open(library)


def test_inverted_lists_are_passed_over_and_codes_come_with_the_next_generation(
    with_lists: Path, tmp_path: Path
) -> None:
    encoder = FakeEncoder(dim=4)
    with Library.open(with_lists) as opened:
        live = opened.current()
        query = encoder.text_queries(encoder.encode_texts(["a dog running"]).vectors)
        found = search(live.clips, encoder.spec.levels, query, 5, {})
        assert (len(found.hits), found.exact) == (2, True)
        assert live.manifest.encoding == {"clips": {}, "captions": {}}
        assert live.manifest.index == {"approximate_from": 1}
        before = live.clips.vectors([1, 2])["action"]
    assert damage(with_lists) == []
    (tmp_path / "new.txt").write_text("a bird singing\n")
    add_captions(with_lists, tmp_path / "new.txt", encoder)
    assert damage(with_lists) == []
    with Library.open(with_lists) as opened:
        live = opened.current()
        assert live.manifest.format_version == format_of(None)
        folder = live.clips.segments[0].folder
        assert len(list(folder.glob("*.pq.faiss"))) == 4
        assert not list(folder.glob("*.lists.faiss"))
        assert encoding_of(live.clips) is not None
        assert (live.clips.vectors([1, 2])["action"] == before).all()


def test_a_large_gallery_of_format_5_gets_codes_and_keeps_its_vectors(
    with_lists: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_plan, "_SMALL", 1)
    (tmp_path / "new.txt").write_text("a bird singing\n")
    with Library.open(with_lists) as opened:
        vectors = opened.current().clips.segments[0].file_id("action")
    add_captions(with_lists, tmp_path / "new.txt", FakeEncoder(dim=4))
    with Library.open(with_lists) as opened:
        (segment,) = opened.current().clips.segments
        assert segment.file_id("action") == vectors, "the file has a second name"
        assert set(segment.pq) == {"global", "entity", "action", "relation"}
        assert not list(segment.folder.glob("*.lists.faiss"))


def test_damaged_lists_of_format_5_lead_to_a_generation_without(with_lists: Path) -> None:
    for lists in with_lists.glob("generations/*/clips/0000/entity.lists.faiss"):
        lists.write_bytes(b"x" * lists.stat().st_size)
    repair_library(with_lists, lambda: FakeEncoder(dim=4))
    assert damage(with_lists) == []
    with Library.open(with_lists) as opened:
        assert opened.current().manifest.format_version == format_of(None)
