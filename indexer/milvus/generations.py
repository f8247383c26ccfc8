"""A library's generations in Milvus, for those who search them: which is live, and its galleries."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from indexer.disk.library_identity import identity_of
from indexer.milvus.address import Address, connect, library_errors, parse_address
from indexer.milvus.collections import GenerationRecord, collection_name, level_collection, read_record_text, tag_of
from indexer.milvus.gallery import MilvusGallery
from indexer.store.generation import KINDS
from indexer.store.manifest import ModelInfo
from quartet.errors import LibraryError

if TYPE_CHECKING:
    from pymilvus import MilvusClient


@dataclass(frozen=True)
class MilvusGeneration:
    """A generation whose vectors are in Milvus (`served_generation.ServedGeneration`); the alias named `collection`."""

    name: str
    collection: str
    model: ModelInfo
    clips: MilvusGallery
    captions: MilvusGallery

    def gallery(self, kind: str) -> MilvusGallery:
        return {"clips": self.clips, "captions": self.captions}[kind]


class MilvusStore:
    """The generations of one library: `served_generation.RemoteGenerations`. Safe to use from many threads."""

    def __init__(self, client: MilvusClient, address: Address, library: str | None) -> None:
        self._client = client
        self._address = address
        self._library = library
        self._swap = threading.Lock()
        self._generation: MilvusGeneration | None = None

    @classmethod
    def open(cls, library: Path, address: str, token: str | None = None) -> Self:
        """The generations of the library in the folder `library`.

        Raises InputError for what is not an address, LibraryError if there is nothing of this library at it.
        """
        where = parse_address(address)
        with ExitStack() as on_failure:
            client = connect(where, token)
            on_failure.callback(client.close)
            store = cls(client, where, identity_of(library))
            store.current()
            on_failure.pop_all()
        return store

    def close(self) -> None:
        self._client.close()

    def current(self) -> MilvusGeneration:
        """The live generation. Raises LibraryError if it is another library's, or Milvus does not answer."""
        collection = live_collection(self._client, self._address)
        known = self._generation
        if known is None or known.collection != collection:
            with self._swap:
                known = self._generation
                if known is None or known.collection != collection:
                    known = self._generation = self._open(collection)
        return known

    def _open(self, collection: str | None) -> MilvusGeneration:
        client, where = self._client, self._address
        if collection is None:
            raise LibraryError(f"There is no library at {where}. Run: quartet export --to {where}")
        with library_errors(where):
            about = GenerationRecord.from_json(read_record_text(client, collection))
        if about.library != self._library:
            raise LibraryError(
                f"{where} holds another library: its clips are not in this catalogue. Give the address that "
                "this library was exported to, or export it under its own name."
            )
        galleries = {}
        for kind in KINDS:
            holding = collection_name(where.name, kind, about.tag)
            with library_errors(where):
                for level in about.levels:
                    client.load_collection(level_collection(holding, level.name))
            galleries[kind] = MilvusGallery(client, where, holding, about.levels, about.galleries[kind])
        return MilvusGeneration(about.generation, collection, about.model, **galleries)


def live_collection(client: MilvusClient, address: Address) -> str | None:
    """The collection that the alias of a library names; None if there is no such alias, or it is not a library's."""
    with library_errors(address):
        if address.name not in client.list_aliases()["aliases"]:
            return None
        collection: str = client.describe_alias(address.name)["collection_name"]
        return collection if tag_of(address.name, collection) else None


def live_record_text(client: MilvusClient, address: Address) -> str | None:
    """What the live generation says of itself (`GenerationRecord`, of whatever format); None if there is none."""
    collection = live_collection(client, address)
    if collection is None:
        return None
    with library_errors(address):
        return read_record_text(client, collection)
