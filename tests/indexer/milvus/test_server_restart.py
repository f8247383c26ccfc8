"""A Milvus server that dies: what it held is there when it is back, and what had not been published is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.ingest.index_run import index_videos
from indexer.milvus.export import export_library
from indexer.milvus.generations import MilvusStore
from indexer.search.result import SearchResult
from indexer.search.top_k import search
from indexer.store.library import Library
from indexer.store.management import remove_videos
from indexer.store.verification import verify_library
from model.fake_encoder import FakeEncoder
from quartet.errors import LibraryError
from tests.milvus_server import MilvusServer


@pytest.fixture
def server(milvus_server: MilvusServer) -> Iterator[MilvusServer]:
    """Alive again after the test, whatever that has done to it."""
    yield milvus_server
    if not milvus_server.alive:
        milvus_server.start()


def ask(library: Library, encoder: FakeEncoder) -> SearchResult:
    return search(library.served().clips, encoder.spec.levels, encoder.encode_texts(["a cat"]).vectors, 20, {})


@pytest.mark.usefixtures("decoding_here")
def test_a_server_that_is_killed(
    server: MilvusServer, tmp_path: Path, videos: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymilvus import MilvusClient

    library = tmp_path / "lib"
    index_videos(library, [videos], encoder)
    with server.new_address() as address:
        export_library(library, address)
        with Library.open(library, elsewhere=MilvusStore.open(library, address)) as there:
            before = ask(there, encoder)
            assert before.exact and len(before.hits) == 5
            server.kill()
            with pytest.raises(LibraryError, match="Milvus at"):
                ask(there, encoder)
            server.start()
            assert ask(there, encoder).hits == before.hits

            # In the middle of an export.
            remove_videos(library, [videos / "a.mp4"])
            flush = MilvusClient.flush

            def die(self: Any, collection: str, **options: Any) -> None:
                if "captions" in collection:
                    server.kill()
                flush(self, collection, **options)

            with monkeypatch.context() as patch:
                patch.setattr(MilvusClient, "flush", die)
                with pytest.raises(LibraryError, match="Milvus at"):
                    export_library(library, address)
            server.start()
            assert ask(there, encoder).hits == before.hits
            assert export_library(library, address).written
            after = ask(there, encoder)
            assert after.exact
            left = {clip.id for clip in there.catalog.list_clips(limit=None)}
            assert after.hits == [hit for hit in before.hits if hit.id in left]
            assert len(after.hits) == 4


def test_a_server_that_is_killed_while_it_is_home(
    server: MilvusServer, tmp_path: Path, stand_ins: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymilvus import MilvusClient

    library = tmp_path / "lib"
    with server.new_address() as address:
        index_videos(library, [stand_ins], encoder, store=address)
        with Library.open(library) as there:
            before = ask(there, encoder)
            remove_videos(library, [stand_ins / "1.mp4"])
            left = ask(there, encoder).hits
            assert (len(before.hits), len(left)) == (11, 10)
            flush = MilvusClient.flush

            def die(self: Any, collection: str, **options: Any) -> None:
                if "clips" in collection:
                    server.kill()
                flush(self, collection, **options)

            with monkeypatch.context() as patch:
                patch.setattr(MilvusClient, "flush", die)
                with pytest.raises(LibraryError, match="Milvus at"):
                    index_videos(library, [stand_ins], encoder)
            server.start()
            assert ask(there, encoder).hits == left
            index_videos(library, [stand_ins], encoder)
            after = ask(there, encoder)
            assert after.exact and [hit.score for hit in after.hits] == [hit.score for hit in before.hits]
            assert verify_library(library) == []
