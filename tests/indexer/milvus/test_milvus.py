"""A library in Milvus Lite: exported, searched with filters, switched, refused where it does not belong."""

from __future__ import annotations

import fcntl
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.ingest.index_run import index_videos
from indexer.media.segmentation import Segmentation
from indexer.milvus import index_choice
from indexer.milvus.address import connect, parse_address
from indexer.milvus.collections import tag_of
from indexer.milvus.export import ExportReport, _questions, export_library
from indexer.milvus.generations import MilvusStore
from indexer.search.filters import ClipFilter
from indexer.search.top_k import search, search_batch
from indexer.search.vectors.row_source import empty_rows
from indexer.store.generation import KINDS
from indexer.store.generation_swap import publish
from indexer.store.library import Library
from indexer.store.management import remove_videos, tag_videos
from indexer.texts.captions import add_captions
from model.fake_encoder import FakeEncoder
from model.levels import LEVEL_NAMES, Vectors
from quartet.errors import FingerprintError, InputError, LibraryError, NotFoundError
from tests.indexer.engines import MilvusGalleries
from tests.indexer.search.test_fast_scan import LEVELS, SPEC, clustered, make_library, rows_of

pytest.importorskip("pymilvus")


@pytest.fixture
def library(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> Path:
    """Clips of 0.2 s of five videos, and three captions."""
    index_videos(tmp_path / "lib", [videos], encoder, segmentation=Segmentation("window", window=0.2, overlap=0.0))
    (tmp_path / "captions.txt").write_text("a cat running\na dog\nrain falling on a roof\n")
    add_captions(tmp_path / "lib", tmp_path / "captions.txt", encoder)
    return tmp_path / "lib"


def opened(library: Path, milvus_address: str) -> Library:
    return Library.open(library, elsewhere=MilvusStore.open(library, milvus_address))


def collections(milvus_address: str) -> set[str]:
    """Those of the library at this address."""
    where = parse_address(milvus_address)
    with closing(connect(where)) as client:
        return {name for name in client.list_collections() if tag_of(where.name, name) is not None}


@pytest.mark.parametrize(
    ("text", "uri", "name"),
    [
        ("milvus://db.example:19531/news", "http://db.example:19531", "news"),
        ("milvus://db.example/news_2", "http://db.example:19530", "news_2"),
        ("milvus+tls://[::1]:1/n", "https://[::1]:1", "n"),
        ("milvus:///srv/news.db", "/srv/news.db", "quartet"),
    ],
)
def test_addresses(text: str, uri: str, name: str) -> None:
    found = parse_address(text)
    assert (found.uri, found.name, str(found)) == (uri, name, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://localhost:19530", "is not a Milvus address"),
        ("milvus://localhost:19530", "has no valid library name"),
        ("milvus://localhost:19530/a-b", "has no valid library name"),
        ("milvus://localhost:nine/a", "an invalid port"),
        ("milvus:///srv/news", "must end in .db"),
        ("milvus://root:secret@localhost/a", "QUARTET_MILVUS_TOKEN"),
    ],
)
def test_what_is_no_address_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_address(text)


@pytest.mark.parametrize(
    ("name", "collection", "tag"),
    [
        ("a", "a_about_000001_0123abcd", "000001_0123abcd"),
        ("a", "a_clips_000001_0123abcd_global", "000001_0123abcd"),
        ("a", "a_captions_000001_0123abcd_camera_2", "000001_0123abcd"),
        ("a", "a_clips_000001_0123abcd", "000001_0123abcd"),
        ("a", "a_clips_about_000001_0123abcd", None),
        ("a_clips", "a_clips_about_000001_0123abcd", "000001_0123abcd"),
        ("a", "a_clips_000001_0123abcd_about_000002_4567cdef", None),
        ("a", "a_clips_000001_0123abcd_clips_000002_4567cdef_global", None),
        ("a", "b_about_000001_0123abcd", None),
    ],
)
def test_whose_a_collection_is(name: str, collection: str, tag: str | None) -> None:
    assert tag_of(name, collection) == tag


def test_answers_are_those_of_the_librarys_own_files(library: Path, milvus_address: str, encoder: FakeEncoder) -> None:
    tag_videos(library, [library.parent / "videos" / "more"], add=["snow"])
    seen: list[tuple[str, int, int]] = []
    report = export_library(library, milvus_address, on_progress=lambda *progress: seen.append(progress))
    assert report == ExportReport("000003", {"clips": 15, "captions": 3}, written=True)
    assert {(kind, total) for kind, done, total in seen if done == total} == {("clips", 15), ("captions", 3)}
    queries = encoder.encode_texts(["a cat running", "rain", "two dogs jumping"]).vectors
    with Library.open(library) as own, opened(library, milvus_address) as there:
        ids = {video.path.name: video.id for video in own.catalog.list_videos()}
        filters = [
            None,
            ClipFilter(frozenset({ids["a.mp4"], ids["d.mp4"]})),
            ClipFilter(frozenset()),
            ClipFilter(start=0.2),
            ClipFilter(start=0.1, end=0.2),
            ClipFilter(tags=frozenset({"snow"})),
            ClipFilter(frozenset({ids["d.mp4"]}), end=1e-05, tags=frozenset({"snow"})),
            ClipFilter(tags=frozenset({"sun"})),
        ]
        counts = []
        for wanted in filters:
            answers = []
            for library_ in (own, there):
                gallery = library_.served().clips
                allowed = library_.allowed(gallery, wanted)
                answers.append(search_batch(gallery, encoder.spec.levels, queries, 20, {"entity": 2.0}, allowed))
            for ours, theirs in zip(*answers, strict=True):
                assert theirs.hits == ours.hits
                assert theirs.exact
            counts.append(len(answers[1][0].hits))
        assert counts == [15, 6, 0, 10, 5, 6, 1, 0]
        # Tags are looked up in the catalogue: a change of them needs no export.
        tag_videos(library, [library.parent / "videos" / "a.mp4"], add=["snow"])
        clips = there.served().clips
        allowed = there.allowed(clips, ClipFilter(tags=frozenset({"snow"})))
        query = {name: rows[:1] for name, rows in queries.items()}
        assert len(search(clips, encoder.spec.levels, query, 20, {}, allowed).hits) == 9
        assert all(number in clips for number in own.current().clips.ids.tolist())
        assert 99 not in clips
        with pytest.raises(NotFoundError, match="no item 99 in this generation"):
            clips.vectors([1, 99])
        captions = [library_.served().captions.vectors([3, 1, 3]) for library_ in (own, there)]
        assert all(np.array_equal(captions[0][name], captions[1][name]) for name in LEVEL_NAMES)


def test_a_generation_goes_over_once_and_the_last_two_stay(
    library: Path, milvus_address: str, encoder: FakeEncoder
) -> None:
    export_library(library, milvus_address)
    first = collections(milvus_address)
    assert len(first) == 9
    assert export_library(library, milvus_address).written is False
    with opened(library, milvus_address) as there:
        before = there.served()
        query = encoder.encode_texts(["a cat running"]).vectors
        hits = search(before.clips, encoder.spec.levels, query, 20, {}).hits
        remove_videos(library, [library.parent / "videos" / "a.mp4"])
        assert there.served() is before
        assert export_library(library, milvus_address).generation == "000004"
        after = there.served()
        assert (before.name, after.name, len(after.clips)) == ("000003", "000004", 12)
        # Who has begun with a generation goes on with it.
        assert search(before.clips, encoder.spec.levels, query, 20, {}).hits == hits
        left = search(after.clips, encoder.spec.levels, query, 20, {}).hits
        assert left == [hit for hit in hits if hit.id in after.clips]
    remove_videos(library, [library.parent / "videos" / "b.mp4"])
    export_library(library, milvus_address)
    assert len(collections(milvus_address)) == 18
    assert not first & collections(milvus_address)


def test_an_export_that_is_cut_short_changes_nothing(
    library: Path, milvus_address: str, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymilvus import MilvusClient

    export_library(library, milvus_address)
    remove_videos(library, [library.parent / "videos" / "a.mp4"])
    insert = MilvusClient.insert

    def stop(self: Any, collection: str, *rest: Any, **others: Any) -> Any:
        if "captions" in collection:
            raise KeyboardInterrupt
        return insert(self, collection, *rest, **others)

    with monkeypatch.context() as patch:
        patch.setattr(MilvusClient, "insert", stop)
        with pytest.raises(KeyboardInterrupt):
            export_library(library, milvus_address)
    with opened(library, milvus_address) as there:
        assert (there.served().name, len(there.served().clips)) == ("000003", 15)
        assert export_library(library, milvus_address).written
        assert (there.served().name, len(there.served().clips)) == ("000004", 12)
    assert len(collections(milvus_address)) == 18


def test_a_library_of_an_earlier_format_is_exported_again(
    library: Path, milvus_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("indexer.milvus.collections.FORMAT_VERSION", 1)
        export_library(library, milvus_address)
    with pytest.raises(LibraryError, match=r"format version 1, .* Export it again"):
        opened(library, milvus_address)
    assert export_library(library, milvus_address).written
    with opened(library, milvus_address) as there:
        assert len(there.served().clips) == 15


def test_an_export_that_loses_items_is_not_read(
    library: Path, milvus_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymilvus import MilvusClient

    insert = MilvusClient.insert
    monkeypatch.setattr(MilvusClient, "insert", lambda self, name, rows: insert(self, name, rows[1:]))
    with pytest.raises(LibraryError, match="has 14 of 15 items"):
        export_library(library, milvus_address)
    with pytest.raises(LibraryError, match=r"no library at .* Run: quartet export --to"):
        opened(library, milvus_address)


def test_another_library_is_refused(library: Path, milvus_address: str, tmp_path: Path, encoder: FakeEncoder) -> None:
    export_library(library, milvus_address)
    Library.create(tmp_path / "other", FakeEncoder(seed=1).spec).close()
    with pytest.raises(LibraryError, match="holds another library: its clips"):
        opened(tmp_path / "other", milvus_address)
    with pytest.raises(LibraryError, match=r"another library, of the model 'fake-0'.*--replace"):
        export_library(tmp_path / "other", milvus_address)
    with opened(library, milvus_address) as there:
        assert len(there.served().clips) == 15
        assert export_library(tmp_path / "other", milvus_address, replace_other=True).written
        with pytest.raises(LibraryError, match="holds another library"):
            there.served()
    with opened(tmp_path / "other", milvus_address) as there:
        query = encoder.encode_texts(["a cat"]).vectors
        assert search(there.served().clips, encoder.spec.levels, query, 5, {}).hits == []
        with pytest.raises(FingerprintError):
            there.check_encoder(encoder.spec)


def test_the_vectors_need_not_be_where_milvus_is_asked(library: Path, milvus_address: str) -> None:
    export_library(library, milvus_address)
    for file in library.glob("generations/*/*/*/*"):
        file.unlink()
    with opened(library, milvus_address) as there:
        assert len(there.served().captions) == 3
        assert there.served().captions.vectors([2])["global"].any()


def test_what_cannot_be_reached_is_named(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LibraryError, match=r"Milvus at milvus://127\.0\.0\.1:1/a cannot be used: Fail connecting"):
        export_library(library, "milvus://127.0.0.1:1/a")
    with pytest.raises(LibraryError, match="There is no library at milvus://"):
        MilvusStore.open(library, f"milvus://{tmp_path}/none.db")
    with pytest.raises(LibraryError, match="no folder"):
        export_library(library, f"milvus://{tmp_path}/none/a.db")
    (tmp_path / "used.db").mkdir()
    with (tmp_path / "used.db" / "LOCK").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LibraryError, match="another process has the file open"):
            export_library(library, f"milvus://{tmp_path}/used.db")
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(LibraryError, match=r"needs pymilvus. Run: pip install .*\[milvus\]"):
        export_library(library, "milvus://127.0.0.1:1/a")


class CaptionsLieFarther:
    """A model whose captions are next to the clips that they are about."""

    def text_queries(self, vectors: Vectors) -> Vectors:
        return vectors

    def clip_queries(self, vectors: Vectors) -> Vectors:
        return vectors


def far(vectors: Vectors) -> Vectors:
    rng = np.random.default_rng(1)
    moved = {name: rows + 0.4 * rng.standard_normal(rows.shape) for name, rows in vectors.items()}
    unit = {name: rows / np.linalg.norm(rows, axis=1, keepdims=True) for name, rows in moved.items()}
    return {name: rows.astype(np.float32) for name, rows in unit.items()}


def test_a_large_gallery_gets_lists_that_are_tuned(
    milvus_lite: MilvusGalleries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With captions as questions, which ask more of lists than the clips themselves do."""
    monkeypatch.setattr(index_choice, "_QUERIES", 20)
    monkeypatch.setattr(index_choice, "_MIN_QUERIES", 20)
    model, captions = CaptionsLieFarther(), far(clustered(25, seed=4, missing=0))
    with make_library(tmp_path / "lib", n=1200, approximate_from=2000) as library:
        changes = {"clips": rows_of(clustered(1200, 1)), "captions": rows_of(captions)}
        publish(library.path, SPEC, changes, approximate_from=2000)
        live = library.current()
        gallery = live.clips
        questions = _questions(live, "clips", lambda: model)
        assert _questions(live, "clips", lambda: None) is None
        assert _questions(live, "captions", lambda: model) is not None
    assert questions is not None
    assert questions.by == "captions"
    there = milvus_lite.copy(gallery, approximate_from=1000, recall=0.9, questions=lambda: questions)
    lists = there.facts.lists
    assert lists is not None
    assert lists.recall >= 0.9
    assert lists.nprobe < lists.count
    there.facts = replace(there.facts, lists=replace(lists, nprobe=1))
    by_itself = index_choice.tune(there, gallery, None)
    assert by_itself.nprobe < lists.nprobe
    there.facts = replace(there.facts, lists=lists)
    queries = clustered(8, seed=9)
    truth = search_batch(gallery, LEVELS, queries, 10, {}, exact=True)
    found = search_batch(there, LEVELS, queries, 10, {})
    assert not any(result.exact for result in found)
    common = [len({h.id for h in a.hits} & {h.id for h in b.hits}) for a, b in zip(found, truth, strict=True)]
    assert np.mean(common) >= 8
    for result, own in zip(search_batch(there, LEVELS, queries, 10, {}, exact=True), truth, strict=True):
        assert result.exact
        assert result.hits == own.hits


def test_an_empty_library_goes_over(tmp_path: Path, milvus_address: str) -> None:
    with Library.create(tmp_path / "lib", SPEC) as library:
        publish(library.path, SPEC, {"clips": rows_of(clustered(3, 1)), "captions": empty_rows(SPEC.levels)})
    assert export_library(tmp_path / "lib", milvus_address).counts == {"clips": 3, "captions": 0}
    query = {name: rows[:1] for name, rows in clustered(1, 2, missing=0).items()}
    with opened(tmp_path / "lib", milvus_address) as there:
        found = {kind: search(there.served().gallery(kind), LEVELS, query, 5, {}) for kind in KINDS}
        assert [len(found[kind].hits) for kind in KINDS] == [3, 0]
        assert all(result.exact for result in found.values())
