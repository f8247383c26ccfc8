"""Generations whose vectors are at another home: writing one, and dropping there what no generation needs any more."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from indexer.catalog.publication_writer import PublicationWriter
from indexer.disk.durable_files import file_sha256, write_array
from indexer.disk.library_identity import identity_of
from indexer.search.approximate.encoding import APPROXIMATE_FROM
from indexer.store.generation import IDS_FILE, KINDS, complete_folder, sizes_in
from indexer.store.layout import generation_folder, generation_numbers
from indexer.store.manifest import FORMAT_VERSION, Manifest, model_info
from indexer.store.vector_home import HomeChange, HomeRecord, checked_store, open_home
from model.encoder import EncoderSpec
from quartet.errors import LibraryError


def write_home_generation(
    folder: Path,
    spec: EncoderSpec,
    changes: Mapping[str, HomeChange],
    store: str,
    writer: PublicationWriter,
    live: Manifest | None = None,
    approximate_from: int | None = None,
) -> Manifest:
    """Bring vectors to their home, and then write a generation to `folder`. It can be repeated.

    live  of the generation whose set of vectors goes on; None: a new set is made
    """
    library = folder.parent.parent
    identity = identity_of(library)
    assert identity is not None, "whoever writes the catalogue has given it one"
    checked_store(store, spec.frames)
    stamp = uuid.uuid4().hex
    home = open_home(store, make=True)
    home.claim(library, identity, {known.stamp for known in manifests(library).values()}, stamp)
    if approximate_from is None:
        approximate_from = APPROXIMATE_FROM if live is None else live.index["approximate_from"]
    before = None if live is None else live.home
    tag = f"v{int(folder.name)}_{stamp[:8]}" if before is None else before.tag
    facts = {}
    for kind, change in changes.items():
        known = None if before is None else before.facts[kind]
        columns = writer.clip_columns if kind == "clips" else None
        facts[kind] = home.write(tag, kind, spec.levels, change, columns, known)
    with complete_folder(folder) as temporary:
        for kind, change in changes.items():
            (temporary / kind).mkdir()
            write_array(change.ids, temporary / kind / IDS_FILE)
        sizes = sizes_in(temporary)
        manifest = Manifest(
            model=model_info(spec),
            levels=spec.levels,
            counts={kind: len(changes[kind].ids) for kind in KINDS},
            bounds={kind: [] for kind in KINDS},
            sizes=sizes,
            checksums={name: file_sha256(temporary / name) for name in sizes},
            encoding={kind: {} for kind in KINDS},
            index={"approximate_from": approximate_from},
            stamp=stamp,
            home=HomeRecord(store, tag, facts),
            format_version=FORMAT_VERSION,
        )
        (temporary / "manifest.json").write_text(manifest.text(), encoding="utf-8")
    return manifest


def manifests(library: Path) -> dict[int, Manifest]:
    """Of the generations on disk; a damaged one is left out."""
    found = {}
    for number in generation_numbers(library):
        try:
            found[number] = Manifest.read(generation_folder(library, number) / "manifest.json")
        except LibraryError:
            continue
    return found


def tidy_homes(library: Path, staying: Collection[int], live: int, leaving: Mapping[str, Sequence[int]]) -> None:
    """Drop at homes what only generations other than `staying` need, and from the set of `live` the items `leaving`.

    It can be repeated. Raises LibraryError if a home does not answer.
    """
    known = manifests(library)
    places: dict[str, dict[int, str]] = {}
    for number, manifest in known.items():
        if manifest.home is not None:
            places.setdefault(manifest.home.address, {})[number] = manifest.home.tag
    for address, tags in places.items():
        needed = {number: tag for number, tag in tags.items() if number in staying}
        newest = max(needed or tags)
        open_home(address).settle(set(needed.values()), known[newest].stamp)
    here = known[live].home if live in known else None
    if here is not None and any(leaving.values()):
        home = open_home(here.address)
        for kind, ids in leaving.items():
            home.delete(here.tag, kind, known[live].levels, np.array(ids, dtype=np.int64))
