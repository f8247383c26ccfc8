"""Making a library whole again: whatever can be made out of its catalogue, its vectors and its videos.

In this order, since each step needs the previous ones: the name of the live generation and its manifest, out of the
catalogue; files of generations, out of each other (`indexer.repair.generation_repair`); what is left, in a new
generation; pictures. What was encoded and is lost is encoded again, and nothing else.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import select

from indexer.catalog.publication_writer import ITEMS
from indexer.catalog.reader import Catalog
from indexer.catalog.writer import CatalogWriter
from indexer.catalog.writing_session import require_undamaged
from indexer.disk.durable_files import writing
from indexer.disk.writer_lock import writer_lock
from indexer.repair.generation_repair import Healing, OnDisk, heal_by_copies
from indexer.repair.manifest_repair import ManifestRepair
from indexer.repair.picture_repair import repair_pictures
from indexer.repair.reconstruction import Remaker
from indexer.search.vectors.row_source import BLOCK, joined, merged
from indexer.store.agreement import require_agreement
from indexer.store.generation import KINDS, LoadEncoder, damaged_files
from indexer.store.generation_swap import publish, publish_at_home
from indexer.store.layout import (
    exists,
    generation_folder,
    generation_numbers,
    live_name,
    next_number,
    require_library,
)
from indexer.store.library import Library, open_catalog
from indexer.store.manifest import Manifest
from indexer.store.publishing import publish_changes
from indexer.store.search_settings import read_search_settings
from indexer.store.segment_plan import whole
from indexer.store.vector_home import HomeChange, HomeRecord, open_home
from indexer.store.verification import at_home
from quartet.errors import LibraryError


@dataclass(frozen=True)
class RepairReport:
    """healed and lost are sentences; encoded counts clips and captions that were encoded again."""

    healed: list[str]
    lost: list[str]
    encoded: int
    generation: str


def repair_library(
    path: Path,
    encoder: LoadEncoder,
    roots: Mapping[str, Path] | None = None,
    accept_catalogue: bool = False,
) -> RepairReport:
    """Make again what is damaged or missing in a library.

    encoder           gives the model of the library; called only if something has to be encoded again
    roots             where named roots of its videos are here
    accept_catalogue  take a catalogue whose checksum does not match as it is
    Raises LibraryError if the catalogue itself cannot be read: it cannot be made again.
    """
    if not exists(path) and not generation_numbers(path):
        require_library(path)
    with writing(path), writer_lock(path), closing(open_catalog(path)) as catalog:
        catalog.relocate(roots or {})
        if not accept_catalogue:
            with catalog.engine.connect() as connection:
                require_undamaged(connection, path)
        manifests = ManifestRepair(path, catalog)
        generations = manifests.run()
        live = generations[int(live_name(path))].manifest
        remaker = Remaker(catalog, live.spec, encoder)
        repair = _Repair(path, catalog, generations, remaker)
        with closing(CatalogWriter(catalog.path, live.levels, roots, accept_damaged=accept_catalogue)) as writer:
            repair.generations(writer)
            pictures = repair_pictures(path, catalog, writer, remaker)
        failed = [why if where == "model" else f"{where}: {why}" for where, why in remaker.lost.items()]
        lost = [*repair.lost, *failed, *_lost_settings(path)]
        with Library.open(path) as library:
            generation = library.current().name
        return RepairReport([*manifests.healed, *repair.healed, *pictures], lost, remaker.encoded, generation)


class _Repair:
    """One repair of the vectors of a library and what it says of itself. `generations`: what is on disk, by number."""

    def __init__(self, path: Path, catalog: Catalog, generations: dict[int, OnDisk], remaker: Remaker) -> None:
        self.path = path
        self.catalog = catalog
        self.remaker = remaker
        self.healed: list[str] = []
        self.lost: list[str] = []
        self._generations = generations

    def generations(self, writer: CatalogWriter) -> None:
        """The files of generations, and that the live one is the catalogue's."""
        number = int(live_name(self.path))
        live = self._generations[number]
        # A home from which the library has moved away, and which is gone now, would let nothing be published.
        elsewhere = [n for n, other in self._generations.items() if other.manifest.store != live.manifest.store]
        self._without_vectors(elsewhere)
        agrees = self._agrees(number, live)
        if live.manifest.home is not None:
            self._at_home(writer, live, live.manifest.home, agrees)
            live_now, here = int(live_name(self.path)), generation_numbers(self.path)
            self._without_vectors([n for n in here if n != live_now and n in self._generations])
            self._older(int(live_name(self.path)), writer)
            return
        known, wanted = self._ids(), {kind: writer.live_ids(kind) for kind in KINDS}
        others = [g for n, g in self._generations.items() if n != number and _same_model(g, live)]
        work = Healing(live, others, known, wanted, self.remaker.rows)
        left = work.run()
        self.healed += [f"{live.folder / name} was rebuilt." for name in work.healed]
        if left or not agrees:
            self._rebuild(writer, number, work, left)
        else:
            self._finish(writer, live)
        self._older(int(live_name(self.path)), writer)
        for folder in (self.path / "generations").glob(".*.tmp"):
            shutil.rmtree(folder)

    def _finish(self, writer: CatalogWriter, live: OnDisk) -> None:
        with Library.open(self.path) as library:
            if publish_changes(library, writer) != live.folder.name:
                self.healed.append("An interrupted command was finished.")

    def _without_vectors(self, older: Sequence[int]) -> None:
        """Give up those of these generations whose vectors are not at their home any more, or not to be had."""
        for number in older:
            other = self._generations[number]
            if any(at_home(other.folder, other.manifest)):
                shutil.rmtree(other.folder)
                del self._generations[number]
                self.healed.append(f"{other.folder} was without its vectors and not live. It was removed.")

    def _at_home(self, writer: CatalogWriter, live: OnDisk, record: HomeRecord, agrees: bool) -> None:
        """Of a library whose vectors are elsewhere: those that are not there any more are encoded again."""
        home, levels = open_home(record.address), live.manifest.levels
        damaged = list(damaged_files(live.folder, live.manifest))
        goes_on = home.has(record.tag, levels)
        changes, lost = {}, 0
        writer.skip_ids({kind: self._largest_id(kind) for kind in KINDS})
        for kind in KINDS:
            wanted = writer.live_ids(kind)
            there = home.held(record.tag, kind, levels, wanted)
            missing = np.setdiff1d(wanted, np.union1d(there, writer.staged_rows(kind).ids))
            lost += len(missing)
            self._make_again(writer, kind, missing)
            staged = writer.staged_rows(kind)
            added = staged.only(np.setdiff1d(staged.ids, there))
            gone = np.setdiff1d(wanted, np.union1d(there, added.ids))
            if len(gone):
                self._give_up(writer, kind, gone)
                wanted = np.setdiff1d(writer.live_ids(kind), gone)
            if not goes_on and len(there):
                added = joined(home.open(record.tag, kind, levels, there, record.facts[kind]).source(), added)
            changes[kind] = HomeChange(wanted, added.only(np.intersect1d(added.ids, wanted)))
        if goes_on and agrees and not lost and not damaged:
            self._finish(writer, live)
            return
        before = live.manifest if goes_on else None
        again = live.manifest.index["approximate_from"]
        name = publish_at_home(self.path, live.manifest.spec, changes, record.address, writer, before, again)
        self.healed += [f"{live.folder / name} was rebuilt." for name in damaged]
        what = f"it lacked the vectors of {lost} items" if lost else "catalogue and index did not match"
        self.healed.append(f"Generation {name} was written to {record.address}: {what}.")

    def _agrees(self, number: int, live: OnDisk) -> bool:
        try:
            require_agreement(self.path, number, live.manifest.stamp, self.catalog.generations())
        except LibraryError:
            return False
        return True

    def _ids(self) -> dict[str, np.ndarray]:
        """Every id that the catalogue lists, ascending."""
        with self.catalog.engine.connect() as connection:
            return {
                kind: np.array(connection.scalars(select(table.c.id).order_by(table.c.id)).all(), dtype=np.int64)
                for kind, table in ITEMS.items()
            }

    def _rebuild(self, writer: CatalogWriter, number: int, work: Healing, left: list[str]) -> None:
        """A new generation of what is sound, what waits in the catalogue, and what can be encoded again."""
        spec = work.of.manifest.spec
        writer.skip_ids({kind: self._largest_id(kind) for kind in KINDS})
        changes = {}
        for kind in KINDS:
            wanted, rows = writer.live_ids(kind), work.rows(kind)
            lost = np.setdiff1d(wanted, merged(rows.ids, np.setdiff1d(writer.staged_rows(kind).ids, rows.ids)))
            self._make_again(writer, kind, lost)
            staged = writer.staged_rows(kind)
            rows = joined(rows, staged.only(np.setdiff1d(staged.ids, rows.ids)))
            gone = np.setdiff1d(wanted, rows.ids)
            if len(gone):
                self._give_up(writer, kind, gone)
                wanted = np.setdiff1d(writer.live_ids(kind), gone)
            changes[kind] = whole(rows.only(np.intersect1d(rows.ids, wanted)))
        approximate_from = work.of.manifest.index["approximate_from"]
        name = publish(self.path, spec, changes, None, approximate_from, writer)
        what = ", ".join(left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
        why = f"{what} could not be restored" if left else "catalogue and index did not match"
        self.healed.append(f"Generation {name} was written from what catalogue and index share: {why}.")

    def _make_again(self, writer: CatalogWriter, kind: str, lost: np.ndarray) -> None:
        """Have what can be encoded again of these items wait in the catalogue."""
        for start in range(0, len(lost), BLOCK):
            writer.stage_again(kind, self.remaker.rows(kind, lost[start : start + BLOCK]))

    def _largest_id(self, kind: str) -> int:
        """The largest id that any generation on disk may have used."""
        largest = 0
        for generation in self._generations.values():
            for file in (generation.folder / kind).rglob("ids.npy"):
                try:
                    ids = np.load(file)
                except (OSError, ValueError):
                    continue
                largest = max(largest, int(ids.max(initial=0)))
        pictures = (file.name.split(".")[0] for file in (self.path / "thumbnails").glob("*/*.webp"))
        return max([largest, *(int(name) for name in pictures if kind == "clips" and name.isdigit())])

    def _give_up(self, writer: CatalogWriter, kind: str, gone: np.ndarray) -> None:
        if "model" in self.remaker.lost:
            raise LibraryError(f"The library {self.path} cannot be repaired yet: {self.remaker.lost['model']}")
        ids = [int(i) for i in gone]
        if kind == "captions":
            self.lost.append(f"{len(ids)} captions could not be encoded again.")
            writer.remove_captions(ids, [], next_number(self.path))
            return
        clips = self.catalog.clips(ids).values()
        for video in {clip.video_id: clip.path for clip in clips}.items():
            self.lost.append(
                f"{video[1]} was removed from the library because its vectors are lost. Run "
                "`quartet index` to add it again."
            )
        writer.remove_videos(sorted({clip.video_id for clip in clips}), next_number(self.path))

    def _older(self, live: int, writer: CatalogWriter) -> None:
        """Of older generations only sound ones stay; nobody but a reader about to switch needs them."""
        for number in generation_numbers(self.path):
            if number == live:
                continue
            folder = generation_folder(self.path, number)
            generation = self._generations.get(number)
            if generation is not None:
                now = generation_folder(self.path, live)
                healed, left = heal_by_copies(generation, [OnDisk(now, Manifest.read(now / "manifest.json"))])
                self.healed += [f"{folder / name} was rebuilt." for name in healed]
                if not left:
                    continue
            shutil.rmtree(folder)
            self.healed.append(f"{folder} was damaged and not live. It was removed.")


def _lost_settings(path: Path) -> list[str]:
    """What people have set cannot be made again."""
    try:
        read_search_settings(path, "")
    except LibraryError as error:
        return [str(error)]
    return []


def _same_model(one: OnDisk, other: OnDisk) -> bool:
    return one.manifest.model.fingerprint == other.manifest.model.fingerprint
