"""Milvus as the home of a library's vectors: `indexer.store.vector_home.VectorHome`.

    NAME_home                 one row: which library is here, from which folder it is written, and the stamps of the
                              generation that is live and of one that is being written
    NAME_TAG_clips_LEVEL      as those of an export (`indexer.milvus.collections`), for every generation of a model
    NAME_TAG_captions_LEVEL

A tag is such as v7_1f0c2a9b: the number of the first generation and the beginning of its stamp.
"""

from __future__ import annotations

import json
import os
import re
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.disk.library_identity import original_of, place_of
from indexer.milvus.address import connect, library_errors, parse_address
from indexer.milvus.collections import (
    VECTOR,
    GalleryFacts,
    build_index,
    level_collection,
    level_schema,
    make_text_collection,
    read_text,
)
from indexer.milvus.gallery_upload import drop, level_rows
from indexer.milvus.home_gallery import MilvusHomeGallery
from indexer.search.vectors.row_source import Columns, Ids
from indexer.search.vectors.segment import NotFiniteError
from indexer.store.generation import KINDS
from indexer.store.vector_home import ClipColumns, HomeChange
from model.levels import LevelSpec
from quartet.errors import LibraryError

_TOKEN = "QUARTET_MILVUS_TOKEN"
"""As libpq does with PGPASSWORD, every command that opens such a library takes it from the environment."""

_IDS_PER_CALL = 10_000
"""Ids of one call."""


class Home:
    """See the module. Safe to use from many threads; its connection ends with the last who holds it or a gallery."""

    def __init__(self, address: str, make: bool = False) -> None:
        self.address = parse_address(address)
        self.client = connect(self.address, os.environ.get(_TOKEN), make)
        weakref.finalize(self, self.client.close)

    def claim(self, folder: Path, identity: str, stamps: Collection[str], stamp: str) -> None:
        known = self._record()
        if known is not None:
            self._require_own(known, folder, identity, stamps)
        before = [] if known is None else [one for one in known["stamps"] if one in stamps]
        self._note({"library": identity, "folder": place_of(folder), "stamps": [*before, stamp]}, known is None)
        with library_errors(self.address):
            self.client.flush(self._record_name)

    def write(
        self,
        tag: str,
        kind: str,
        levels: Sequence[LevelSpec],
        change: HomeChange,
        columns: ClipColumns | None,
        before: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        gallery = self._gallery_name(tag, kind)
        names = {spec.name: level_collection(gallery, spec.name) for spec in levels}
        known: Mapping[str, Any] = before or {"norms": {spec.name: 0.0 for spec in levels}, "patterns": []}
        norms, patterns = dict(known["norms"]), {tuple(pattern) for pattern in known["patterns"]}
        with ThreadPoolExecutor(len(levels)) as threads, library_errors(self.address):
            if before is None:
                list(threads.map(lambda spec: self._make(names[spec.name], spec, columns is not None), levels))
            for ids, vectors in change.added.blocks():
                _require_finite(ids, vectors, levels)
                present = np.stack([vectors[spec.name].any(axis=1) for spec in levels], axis=1)
                patterns |= {tuple(pattern) for pattern in np.unique(present, axis=0).tolist()}
                for spec in levels:
                    norms[spec.name] = max(norms[spec.name], _norm(vectors[spec.name]))
                shared = {"id": ids, **({} if columns is None else columns(ids))}
                for rows in level_rows(levels, shared, present, vectors):
                    list(threads.map(lambda name, own: self.client.upsert(names[name], own), rows, rows.values()))
            if len(change.added):
                list(threads.map(self.client.flush, names.values()))
        facts = GalleryFacts(len(change.ids), norms, [list(pattern) for pattern in sorted(patterns)])
        self._require_all(names.values(), change.ids)
        return asdict(facts)

    def open(
        self, tag: str, kind: str, levels: Sequence[LevelSpec], ids: Ids, facts: Mapping[str, Any]
    ) -> MilvusHomeGallery:
        gallery = self._gallery_name(tag, kind)
        names = [level_collection(gallery, spec.name) for spec in levels]
        with ThreadPoolExecutor(len(levels)) as threads, library_errors(self.address):
            for name in names:
                if not self.client.has_collection(name):
                    raise LibraryError(f"{self.address} has no collection {name}: vectors of this library are gone.")
            list(threads.map(self.client.load_collection, names))
        self._require_all(names, ids)
        return MilvusHomeGallery(self, gallery, levels, ids, GalleryFacts.from_json(facts))

    def held(self, tag: str, kind: str, levels: Sequence[LevelSpec], ids: Ids) -> Ids:
        for spec in levels:
            name = level_collection(self._gallery_name(tag, kind), spec.name)
            with library_errors(self.address):
                if not self.client.has_collection(name):
                    return ids[:0]
                self.client.load_collection(name)
                found = [
                    row["id"]
                    for first in range(0, len(ids), _IDS_PER_CALL)
                    for row in self.client.query(
                        name,
                        ids=ids[first : first + _IDS_PER_CALL].tolist(),
                        output_fields=["id"],
                        consistency_level="Strong",
                    )
                ]
            ids = np.intersect1d(ids, np.array(found, dtype=np.int64))
        return ids

    def has(self, tag: str, levels: Sequence[LevelSpec]) -> bool:
        wanted = {level_collection(self._gallery_name(tag, kind), spec.name) for kind in KINDS for spec in levels}
        with library_errors(self.address):
            return wanted <= set(self.client.list_collections())

    def delete(self, tag: str, kind: str, levels: Sequence[LevelSpec], ids: Ids) -> None:
        with library_errors(self.address):
            for spec in levels:
                name = level_collection(self._gallery_name(tag, kind), spec.name)
                for first in range(0, len(ids), _IDS_PER_CALL):
                    self.client.delete(name, ids=ids[first : first + _IDS_PER_CALL].tolist())

    def settle(self, tags: Collection[str], stamp: str) -> None:
        with library_errors(self.address):
            for name, tag in self._sets():
                if tag not in tags:
                    self.client.drop_collection(name)
            known = self._record()
            if not tags:
                drop(self.client, self._record_name)
            elif known is not None and known["stamps"] != [stamp]:
                self._note({**known, "stamps": [stamp]}, new=False)

    @property
    def _record_name(self) -> str:
        return f"{self.address.name}_home"

    def _gallery_name(self, tag: str, kind: str) -> str:
        return f"{self.address.name}_{tag}_{kind}"

    def _sets(self) -> Iterator[tuple[str, str]]:
        """Every collection of a level and its tag."""
        form = re.compile(rf"{self.address.name}_(v\d+_[0-9a-f]{{8}})_(?:{'|'.join(KINDS)})_\w+")
        for name in self.client.list_collections():
            if (found := form.fullmatch(name)) is not None:
                yield name, found[1]

    def _record(self) -> dict[str, Any] | None:
        with library_errors(self.address):
            if not self.client.has_collection(self._record_name):
                return None
            text = read_text(self.client, self._record_name)
        record: dict[str, Any] | None = None if text is None else json.loads(text)
        return record

    def _note(self, record: Mapping[str, Any], new: bool) -> None:
        with library_errors(self.address):
            make_text_collection(self.client, self._record_name, json.dumps(record), new)

    def _require_own(self, known: Mapping[str, Any], folder: Path, identity: str, stamps: Collection[str]) -> None:
        if known["library"] != identity:
            raise LibraryError(
                f"{self.address} is the home of another library, which is written from {known['folder']}. Give each "
                "library its own name."
            )
        if (original := original_of(folder, identity, known["folder"])) is not None:
            raise LibraryError(
                f"{folder} is a copy: its vectors in {self.address} belong to {original}. Move them "
                "into the folder of the original first (`quartet store --to folder`), and copy it then."
            )
        if stamps and not set(stamps) & set(known["stamps"]):
            raise LibraryError(
                f"{self.address} has vectors of a later generation than this folder, which is an older copy. The "
                f"newest one was written from {known['folder']}. Use that folder, or restore the newest copy."
            )

    def _make(self, name: str, spec: LevelSpec, timed: bool) -> None:
        with library_errors(self.address):
            drop(self.client, name)
            self.client.create_collection(name, schema=level_schema(self.client, spec, timed))
            index = self.client.prepare_index_params()
            index.add_index(VECTOR, metric_type="IP", index_type="FLAT")
            build_index(self.client, name, index)

    def _require_all(self, names: Collection[str], ids: Ids) -> None:
        """Raises LibraryError if items are missing. Afterwards every search sees what was written before."""
        if not len(ids):
            return
        for name in names:
            with library_errors(self.address):
                condition, fields = f"id <= {ids[-1]}", ["count(*)"]
                found = self.client.query(name, filter=condition, output_fields=fields, consistency_level="Strong")
            if found[0]["count(*)"] < len(ids):
                raise LibraryError(
                    f"{self.address} has {found[0]['count(*)']} of {len(ids)} items in {name}: vectors are lost there, "
                    "or this folder is an older copy. Restore what is lost, or run `quartet repair`."
                )


def _require_finite(ids: Ids, vectors: Columns, levels: Sequence[LevelSpec]) -> None:
    """Raises NotFiniteError for a vector with NaN or infinity."""
    for spec in levels:
        bad = ids[~np.isfinite(vectors[spec.name]).all(axis=1)]
        if len(bad):
            raise NotFiniteError(f"The {spec.name} vector of item {bad[0]} contains NaN or infinity. Check the model.")


def _norm(rows: npt.NDArray[np.float32]) -> float:
    """The largest L2 norm, rounded up."""
    return float(np.linalg.norm(rows.astype(np.float64), axis=1).max(initial=0.0)) * (1 + 1e-12)
