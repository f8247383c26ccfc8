"""Making a generation live: written, noted in the catalogue, named in CURRENT, settled; and what is then removed."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path

from indexer.catalog.publication_writer import PublicationWriter
from indexer.catalog.writer import CatalogWriter
from indexer.disk.durable_files import replace_file
from indexer.search.vectors.gallery import Change
from indexer.search.vectors.row_source import Rows, RowSource, from_arrays
from indexer.store.generation import KINDS, Generation, holds_removed, write_generation
from indexer.store.home_generation import tidy_homes, write_home_generation
from indexer.store.layout import (
    exists,
    generation_folder,
    generation_numbers,
    live_name,
    next_number,
    strip_path,
    thumbnail_path,
)
from indexer.store.manifest import Manifest
from indexer.store.segment_plan import whole
from indexer.store.vector_home import HomeChange
from model.encoder import EncoderSpec


def publish(
    path: Path,
    spec: EncoderSpec,
    changes: Mapping[str, Change | Rows],
    live: Generation | None = None,
    approximate_from: int | None = None,
    writer: PublicationWriter | None = None,
) -> str:
    """Write the next generation, make it live and remove those that nobody can be about to open.

    changes            per gallery all of its rows, or what changes against `live`
    approximate_from   see `write_generation`
    writer             the catalogue's; None: one for this alone
    The caller holds the writer's lock (or is making the library). Returns the new generation's name.
    """
    if writer is None:
        with closing(CatalogWriter(path / "catalog.sqlite", spec.levels)) as own:
            return publish(path, spec, changes, live, approximate_from, own)
    complete = {kind: each if isinstance(each, Change) else whole(from_arrays(*each)) for kind, each in changes.items()}
    manifest = write_generation(generation_folder(path, next_number(path)), spec, complete, live, approximate_from)
    return _go_live(path, writer, manifest)


def publish_at_home(
    path: Path,
    spec: EncoderSpec,
    changes: Mapping[str, HomeChange],
    store: str,
    writer: PublicationWriter,
    live: Manifest | None = None,
    approximate_from: int | None = None,
) -> str:
    """As `publish`, with the vectors at the home `store` (`indexer.store.vector_home`).

    live  of the generation that the changes go on from; None: all of the rows go over
    """
    folder = generation_folder(path, next_number(path))
    return _go_live(path, writer, write_home_generation(folder, spec, changes, store, writer, live, approximate_from))


def publish_whole(
    path: Path,
    spec: EncoderSpec,
    rows: Mapping[str, RowSource],
    writer: PublicationWriter,
    approximate_from: int | None = None,
    store: str | None = None,
) -> str:
    """Publish all rows of a library, to the home `store` or into the folder (None). See `publish`."""
    if store is not None:
        changes = {kind: HomeChange(own.ids, own) for kind, own in rows.items()}
        return publish_at_home(path, spec, changes, store, writer, None, approximate_from)
    return publish(path, spec, {kind: whole(own) for kind, own in rows.items()}, None, approximate_from, writer)


def _go_live(path: Path, writer: PublicationWriter, manifest: Manifest) -> str:
    """Make the newest generation, which is complete on disk, the live one; returns its name."""
    number = max(generation_numbers(path))
    before = int(live_name(path)) if exists(path) else 0
    writer.announce(number, manifest.stamp, manifest.text())
    replace_file(path / "CURRENT", f"{number:06d}\n".encode())
    settle(path, writer, number, before)
    return f"{number:06d}"


def settle(
    path: Path,
    writer: PublicationWriter,
    number: int,
    before: int,
    held: Mapping[str, Collection[int]] | None = None,
) -> None:
    """Finish what begins when generation `number` goes live in the place of `before`. It can be repeated.

    The previous one is kept for whoever still reads it, and that of the previous model, to which the library can be
    changed back. The previous one goes too where its files have what was removed: who has it open keeps it, and who is
    about to open it finds the next. For `held` see `PublicationWriter.finish_generation`.
    """
    leaving = {kind: writer.leaving(kind, before) for kind in KINDS}
    staying = writer.staying(number, before)
    # Before the folders, and the rows of what is leaving: they say what there is to drop.
    tidy_homes(path, staying, number, leaving)
    for other in generation_numbers(path):
        if other not in staying:
            # Readers that have it open keep it: unlinked files live on until they are unmapped.
            shutil.rmtree(generation_folder(path, other))
    # Before their rows go, so that a picture without a row is never left behind.
    for clip_id in leaving["clips"]:
        for picture in (thumbnail_path(path, clip_id), strip_path(path, clip_id)):
            picture.unlink(missing_ok=True)
    writer.finish_generation(number, before, held, holds_removed(generation_folder(path, number)))


def finish_settling(path: Path, writer: PublicationWriter, live: Generation) -> None:
    """Settle the live generation, where its publishing was interrupted just after it went live."""
    number = int(live.name)
    settle(
        path,
        writer,
        number,
        writer.generation_before(number),
        {kind: live.gallery(kind).ids.tolist() for kind in KINDS},
    )


def erase_before(path: Path, writer: PublicationWriter, number: int) -> None:
    """Remove every generation but the live one `number`, and whatever only they needed."""
    settle(path, writer, number, number)
