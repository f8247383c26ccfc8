"""Moving the live generation of a library to Milvus (`indexer.milvus.collections`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.disk.durable_files import file_sha256
from indexer.disk.library_identity import ensure_identity
from indexer.milvus.address import Address, connect, library_errors, parse_address
from indexer.milvus.collections import (
    ABOUT,
    FORMAT_VERSION,
    GenerationRecord,
    collection_name,
    tag_of,
    write_generation_record,
)
from indexer.milvus.gallery_upload import copy_gallery, drop
from indexer.milvus.generations import live_collection, live_record_text
from indexer.milvus.index_choice import RECALL, Questions, questions_of
from indexer.store.generation import KINDS, Generation, LoadEncoder
from indexer.store.library import Library
from quartet.errors import InputError, LibraryError

if TYPE_CHECKING:
    from pymilvus import MilvusClient

OnProgress = Callable[[str, int, int], None]
"""Gets the gallery, how many of its items have gone over, and how many there are."""


@dataclass(frozen=True)
class ExportReport:
    """What an export did. `written` is false if Milvus had this generation already."""

    generation: str
    counts: dict[str, int]
    written: bool


def export_library(
    library: Path,
    to: str,
    token: str | None = None,
    encoder: LoadEncoder | None = None,
    recall: float = RECALL,
    approximate_from: int | None = None,
    replace_other: bool = False,
    on_progress: OnProgress = lambda kind, done, total: None,
) -> ExportReport:
    """Copy the live generation of a library into Milvus and let it answer there.

    Readers go on with the previous generation until everything is there, and then switch at once. An export that
    was interrupted leaves nothing that is read; the next one begins again.

    to             `indexer.milvus.address`; `token`: USER:PASSWORD or an API key
    encoder        gives the model of the library, with which the items of one gallery become questions to tune the
                   inverted lists of the other with; only called where there are such lists
    recall         recall@10 that these are to reach; approximate_from: items from which there are lists. None: as the
                   library's own
    replace_other  also where another library is under this name
    Raises InputError for what is not an address, LibraryError if Milvus or the library cannot be used.
    """
    where = parse_address(to)
    with Library.open(library) as opened:
        generation = opened.current()
        table = opened.catalog.clip_table()
    if (store := generation.manifest.store) is not None:
        raise InputError(f"The vectors of this library are at home in {store}: a service needs no copy of them.")
    identity = ensure_identity(library)
    counts = {kind: len(generation.gallery(kind)) for kind in KINDS}
    client = connect(where, token, make=True)
    try:
        about = GenerationRecord(
            identity,
            generation.name,
            file_sha256(library / "generations" / generation.name / "manifest.json"),
            generation.model,
            generation.manifest.levels,
            {},
        )
        before = live_record_text(client, where)
        record = {} if before is None else json.loads(before)
        if before is not None and record["library"] != identity and not replace_other:
            raise LibraryError(
                f"{where} holds another library, of the model {record['model']['name']!r}. Export under another "
                "name, or replace that library with --replace."
            )
        if before is not None and record["format_version"] == FORMAT_VERSION and _same(before, about):
            return ExportReport(generation.name, counts, written=False)
        if approximate_from is None:
            approximate_from = generation.manifest.index["approximate_from"]
        galleries = {
            kind: copy_gallery(
                client,
                where,
                collection_name(where.name, kind, about.tag),
                generation.files(kind),
                approximate_from,
                table if kind == "clips" else None,
                partial(on_progress, kind),
                recall,
                partial(_questions, generation, kind, encoder),
            )
            for kind in KINDS
        }
        with library_errors(where):
            drop(client, collection_name(where.name, ABOUT, about.tag))
            _go_live(client, where, write_generation_record(client, where.name, replace(about, galleries=galleries)))
    finally:
        client.close()
    return ExportReport(generation.name, counts, written=True)


def _same(before: str, about: GenerationRecord) -> bool:
    return replace(GenerationRecord.from_json(before), galleries={}) == about


def _questions(generation: Generation, kind: str, encoder: LoadEncoder | None) -> Questions | None:
    """What asks for the items of a gallery: those of the other; None where they are few or the model is missing."""
    model = None if encoder is None else encoder()
    (other,) = (name for name in KINDS if name != kind)
    return None if model is None else questions_of(generation.files(other), other, model)


def _go_live(client: MilvusClient, address: Address, collection: str) -> None:
    """Let the alias name a generation, and drop those that nobody can be about to open."""
    before = live_collection(client, address)
    if before is None:
        client.create_alias(collection, address.name)
    else:
        client.alter_alias(collection, address.name)
    kept = {tag_of(address.name, name) for name in (collection, before) if name is not None}
    for name in client.list_collections():
        if (tag := tag_of(address.name, name)) is not None and tag not in kept:
            drop(client, name)
