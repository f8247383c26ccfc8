"""A library whose vectors are at home in Milvus: it does what one in its folder does, through crashes and back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.ingest.index_run import index_videos
from indexer.milvus.address import connect, parse_address
from indexer.milvus.export import export_library
from indexer.milvus.home import Home
from indexer.repair.library_repair import repair_library
from indexer.search.filters import ClipFilter
from indexer.search.result import Hit
from indexer.search.top_k import search
from indexer.store.generation import KINDS, Generation
from indexer.store.library import Library
from indexer.store.management import model_states, remove_videos, tag_videos
from indexer.store.publishing import encode_again, move_vectors
from indexer.store.verification import verify_library
from indexer.texts.captions import add_captions, remove_captions
from model.fake_encoder import FakeEncoder
from quartet.errors import InputError, LibraryError

pytest.importorskip("pymilvus")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    (tmp_path / "captions.txt").write_text("a cat running\na dog\nrain falling on a roof\n")
    return tmp_path / "captions.txt"


@pytest.fixture
def library(tmp_path: Path, stand_ins: Path, encoder: FakeEncoder, milvus_address: str, texts: Path) -> Path:
    """Eleven clips of five videos and three captions, in Milvus."""
    index_videos(tmp_path / "lib", [stand_ins], encoder, store=milvus_address)
    add_captions(tmp_path / "lib", texts, encoder)
    return tmp_path / "lib"


def ask(generation: Generation, encoder: FakeEncoder, kind: str = "clips") -> list[Hit]:
    result = search(generation.gallery(kind), encoder.spec.levels, encoder.encode_texts(["a cat"]).vectors, 20, {})
    assert result.exact
    return result.hits


def counts(address: str) -> dict[str, int]:
    """The collections at an address, and how many items each of them has."""
    where = parse_address(address)
    with closing(connect(where)) as client:
        names = [name for name in client.list_collections() if name.startswith(f"{where.name}_")]
        return {
            name: client.query(name, filter="", output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"]
            for name in names
        }


def clips_there(address: str) -> set[int]:
    """How many clips the collections of levels have."""
    return {count for name, count in counts(address).items() if "_clips_" in name}


def test_it_is_as_one_in_the_folder(
    library: Path, tmp_path: Path, stand_ins: Path, encoder: FakeEncoder, milvus_address: str, texts: Path
) -> None:
    own = tmp_path / "own"
    index_videos(own, [stand_ins], encoder)
    add_captions(own, texts, encoder)
    for change in (
        lambda path: tag_videos(path, [stand_ins / "3.mp4"], add=["snow"]),
        lambda path: remove_videos(path, [stand_ins / "1.mp4"]),
        lambda path: remove_captions(path, ["a dog"]),
        lambda path: (stand_ins / "2.mp4").write_text("9"),
        lambda path: index_videos(path, [stand_ins], encoder),
    ):
        change(library), change(own)
    assert verify_library(library) == []
    with Library.open(library) as there, Library.open(own) as here:
        for kind in KINDS:
            assert ask(there.current(), encoder, kind) == ask(here.current(), encoder, kind)
        query = encoder.encode_texts(["rain"]).vectors
        for wanted in (ClipFilter(tags=frozenset({"snow"})), ClipFilter(start=2.0), ClipFilter(end=0.5)):
            found = []
            for opened in (there, here):
                clips = opened.served().clips
                allowed = opened.allowed(clips, wanted)
                found.append(search(clips, encoder.spec.levels, query, 20, {}, allowed).hits)
            assert found[0] == found[1] and found[0]
    assert not list(library.rglob("*.faiss"))
    # The previous generation still has the old clip of 2.mp4; with the next one it is gone.
    remove_videos(library, [stand_ins / "4.mp4"], erase_now=True)
    assert clips_there(milvus_address) == {16}


def test_each_generation_answers_from_its_own_items(
    library: Path, stand_ins: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the next one is written, and however many items it adds in front of the hits."""
    monkeypatch.setattr("indexer.milvus.gallery._FIRST_DEPTH", 2)
    with Library.open(library) as opened:
        before = opened.current()
        hits = ask(before, encoder)
        shutil.copy(stand_ins / "3.mp4", stand_ins / "6.mp4")
        (stand_ins / "6.mp4").write_text("06")
        with monkeypatch.context() as patch:
            patch.setattr("indexer.catalog.publication_writer.PublicationWriter.announce", cut)
            with pytest.raises(KeyboardInterrupt):
                index_videos(library, [stand_ins], encoder)
        assert opened.current() is before and ask(before, encoder) == hits
        remove_videos(library, [stand_ins / "3.mp4"])
        after = opened.current()
        assert (len(hits), len(ask(after, encoder)), len(after.clips)) == (11, 11, 11)
        assert ask(before, encoder) == hits
        gone = set(before.clips.ids.tolist()) - set(after.clips.ids.tolist())
        assert len(gone) == 7 and not gone & {hit.id for hit in ask(after, encoder)}
    assert verify_library(library) == []


def cut(*anything: Any, **more: Any) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["claim", "write", "settle", "delete"])
def test_what_is_cut_short_is_finished_by_the_next_command(
    where: str, library: Path, stand_ins: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stand_ins / "1.mp4").unlink()
    remove_videos(library, [stand_ins / "1.mp4"])
    (stand_ins / "2.mp4").write_text("9")
    with monkeypatch.context() as patch:
        patch.setattr(Home, where, cut)
        with pytest.raises(KeyboardInterrupt):
            index_videos(library, [stand_ins], encoder)
    with Library.open(library) as opened:
        assert len(ask(opened.current(), encoder)) in (10, 16)
    index_videos(library, [stand_ins], encoder)
    assert verify_library(library) == []
    with Library.open(library) as opened:
        assert len(ask(opened.current(), encoder)) == 16


def test_there_and_back(
    library: Path, stand_ins: Path, encoder: FakeEncoder, milvus_address: str, tmp_path: Path
) -> None:
    def vectors(of: Generation) -> list[np.ndarray]:
        return [rows for kind in KINDS for rows in of.gallery(kind).vectors(of.gallery(kind).ids).values()]

    with Library.open(library) as opened:
        there = opened.current()
        before = vectors(there)
        back = move_vectors(library, "folder")
        assert back.manifest.store is None and back.manifest.format_version == 6
        assert all(map(np.array_equal, vectors(back), before))
        assert opened.current().manifest == back.manifest
        assert ask(there, encoder) == ask(back, encoder)
    with pytest.raises(InputError, match="in the folder already"):
        move_vectors(library, "folder")
    # Nobody needs them there any more once the generation after that is live.
    remove_videos(library, [stand_ins / "1.mp4"])
    assert counts(milvus_address) == {}
    move_vectors(library, milvus_address)
    move_vectors(library, "folder", erase_now=True)
    assert counts(milvus_address) == {}
    again = move_vectors(library, milvus_address)
    assert again.manifest.store == milvus_address and len(ask(again, encoder)) == 10
    assert verify_library(library) == []


def test_a_milvus_that_was_switched_off_too_early(
    library: Path, stand_ins: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*anything: object) -> None:
        raise LibraryError("It does not answer.")

    move_vectors(library, "folder")
    monkeypatch.setattr("indexer.milvus.home.connect", gone)
    with pytest.raises(LibraryError, match="does not answer"):
        remove_videos(library, [stand_ins / "1.mp4"])
    assert [problem.detail for problem in verify_library(library)] == ["It does not answer."]
    assert repair_library(library, lambda: encoder).lost == []
    assert verify_library(library) == []
    with Library.open(library) as opened:
        assert len(ask(opened.current(), encoder)) == 10


def test_another_model_and_back(library: Path, stand_ins: Path, encoder: FakeEncoder, milvus_address: str) -> None:
    other = FakeEncoder(seed=1)
    index_videos(library, [stand_ins], other, to_model=True)
    assert len(counts(milvus_address)) == 17
    assert [state.what for state in model_states(library)] == ["live", "before"]
    back = index_videos(library, [stand_ins], encoder, to_model=True).change
    assert back is not None and back.clips == 0
    with Library.open(library) as opened:
        assert len(ask(opened.current(), encoder)) == 11
    remove_videos(library, [stand_ins / "1.mp4"])
    assert len(counts(milvus_address)) == 9


def test_vectors_that_milvus_has_lost_are_named_and_encoded_again(
    library: Path, encoder: FakeEncoder, milvus_address: str
) -> None:
    with Library.open(library) as opened:
        hits, record = ask(opened.current(), encoder), opened.current().manifest.home
    assert record is not None
    home = Home(milvus_address)
    home.delete(record.tag, "clips", encoder.spec.levels, np.array([3]))
    with pytest.raises(LibraryError, match=r"has 10 of 11 items in .*quartet repair"):
        Library.open(library)
    assert f"{milvus_address} lacks the vectors of the clip 3." in [one.detail for one in verify_library(library)]
    report = repair_library(library, lambda: encoder)
    assert (report.encoded, report.lost) == (1, [])
    assert verify_library(library) == []
    # All of them, as after the loss of its disk.
    home.settle([], "")
    assert any("lacks" in one.detail for one in verify_library(library))
    assert repair_library(library, lambda: encoder).encoded == 14
    assert verify_library(library) == []
    with Library.open(library) as opened:
        assert ask(opened.current(), encoder) == hits


def test_a_home_has_one_library(
    library: Path, stand_ins: Path, encoder: FakeEncoder, milvus_address: str, tmp_path: Path
) -> None:
    with pytest.raises(LibraryError, match="is the home of another library"):
        index_videos(tmp_path / "other", [stand_ins], encoder, store=milvus_address)
    shutil.copytree(library, tmp_path / "copy")
    with pytest.raises(LibraryError, match=f"{tmp_path / 'copy'} is a copy: its vectors"):
        remove_videos(tmp_path / "copy", [stand_ins / "1.mp4"])
    remove_videos(library, [stand_ins / "1.mp4"])
    shutil.rmtree(library)
    with pytest.raises(LibraryError, match="vectors of a later generation than this folder"):
        remove_videos(tmp_path / "copy", [stand_ins / "1.mp4"])


def refused(library: Path, address: str, videos: Path) -> dict[str, Callable[[], object]]:
    framed = FakeEncoder(frames=True)
    return {
        "there is nothing to tune": lambda: encode_again(library, 1000),
        "a service needs no copy": lambda: export_library(library, address),
        "Vectors of single frames stay": lambda: index_videos(library, [videos], framed, frame_vectors=True),
        "'ftp://x' is not a store": lambda: move_vectors(library, "ftp://x"),
        "contains a password": lambda: move_vectors(library, "milvus://me:secret@localhost/a"),
    }


def test_what_cannot_be_is_refused(library: Path, milvus_address: str, stand_ins: Path) -> None:
    for message, call in refused(library, milvus_address, stand_ins).items():
        with pytest.raises(InputError, match=message):
            call()
    assert verify_library(library) == []
