"""Libraries that earlier versions wrote (`data/`: two videos, two captions, vectors of four numbers) open and go on."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from indexer.repair.library_repair import repair_library
from indexer.search.top_k import search
from indexer.store.library import Library
from indexer.store.manifest import FORMAT_VERSION
from indexer.store.verification import verify_library
from indexer.texts.captions import add_captions
from model.fake_encoder import FakeEncoder
from quartet.errors import LibraryError

DATA = Path(__file__).with_name("data")


@pytest.fixture(params=[3, 4])
def library(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with tarfile.open(DATA / f"format-{request.param}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "library"


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
        assert opened.current().manifest.format_version == FORMAT_VERSION
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
