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
from zlib import crc32

import numpy as np
from sqlalchemy import select

from indexer.catalog.publication_writer import ITEMS
from indexer.catalog.reader import Catalog
from indexer.catalog.records import GenerationNote
from indexer.catalog.writer import CatalogWriter
from indexer.catalog.writing_session import require_undamaged
from indexer.disk.durable_files import replace_file, replace_files, writing
from indexer.disk.library_identity import identity_of, set_identity
from indexer.disk.writer_lock import writer_lock
from indexer.repair.generation_repair import Healing, OnDisk, heal_by_copies
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
    strip_path,
    thumbnail_path,
)
from indexer.store.library import Library, open_catalog
from indexer.store.manifest import Manifest
from indexer.store.publishing import publish_changes
from indexer.store.search_settings import read_search_settings
from indexer.store.segment_plan import whole
from indexer.store.vector_home import HomeChange, HomeRecord, open_home
from indexer.store.verification import at_home, manifest_text, picture_checks, wrong_with_picture
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
        repair = _Repair(path, catalog, encoder)
        repair.names()
        levels = repair.live.manifest.levels
        with closing(CatalogWriter(catalog.path, levels, roots, accept_damaged=accept_catalogue)) as writer:
            repair.generations(writer)
            repair.pictures(writer)
        repair.search_settings()
        with Library.open(path) as library:
            generation = library.current().name
        return RepairReport(repair.healed, repair.lost, repair.encoded, generation)


class _Repair:
    """One repair and what it says of itself."""

    def __init__(self, path: Path, catalog: Catalog, encoder: LoadEncoder) -> None:
        self.path = path
        self.catalog = catalog
        self.notes = catalog.generations()
        self._encoder = encoder
        self._remaker: Remaker | None = None
        self.healed: list[str] = []
        self._lost: list[str] = []

    @property
    def lost(self) -> list[str]:
        failed = {} if self._remaker is None else self._remaker.lost
        return [*self._lost, *(f"{where}: {why}" if where != "model" else why for where, why in failed.items())]

    @property
    def encoded(self) -> int:
        return 0 if self._remaker is None else self._remaker.encoded

    @property
    def live(self) -> OnDisk:
        return self._generations[int(live_name(self.path))]

    @property
    def remaker(self) -> Remaker:
        if self._remaker is None:
            self._remaker = Remaker(self.catalog, self.live.manifest.spec, self._encoder)
        return self._remaker

    def names(self) -> None:
        """Manifests, CURRENT and the identity."""
        self._require_own_catalogue()
        self._generations: dict[int, OnDisk] = {}
        for number in generation_numbers(self.path):
            folder = generation_folder(self.path, number)
            manifest = self._manifest(folder, self.notes.get(number))
            if manifest is not None:
                self._generations[number] = OnDisk(folder, manifest)
        if not self._generations:
            raise LibraryError(
                f"{self.path} has no generation with a readable or repairable manifest. Index the videos into "
                "a new library."
            )
        self._current()
        known = self.catalog.identity()
        if known is not None and identity_of(self.path) != known:
            set_identity(self.path, known)
            self.healed.append(f"{self.path / 'identity'} was restored.")

    def _require_own_catalogue(self) -> None:
        """Raises LibraryError if identity and stamps both say that the catalogue is another library's."""
        known, here = self.catalog.identity(), identity_of(self.path)
        if known is None or here is None or known == here:
            return
        noted = {note.stamp for note in self.notes.values()}
        texts = [manifest_text(generation_folder(self.path, number)) for number in generation_numbers(self.path)]
        if not any(stamp in text for stamp in noted for text in texts):
            raise LibraryError(f"The catalogue of {self.path} belongs to another library. Restore the right catalogue.")

    def _manifest(self, folder: Path, note: GenerationNote | None) -> Manifest | None:
        """What a generation says of itself, or the catalogue of it if its own file is damaged."""
        file = folder / "manifest.json"
        own, noted = None, None
        try:
            own = Manifest.read(file)
        except LibraryError as error:
            if "format version" in str(error):
                raise
        if note is not None:
            noted = Manifest.parse(note.manifest, file)
        if noted is None or (file.is_file() and manifest_text(folder) == note.manifest):  # type: ignore[union-attr]
            return own
        if own is not None and own.stamp != noted.stamp and own.checksums != noted.checksums:
            return own  # another generation, of the same number
        replace_file(file, note.manifest.encode())  # type: ignore[union-attr]
        self.healed.append(f"{file} was restored.")
        return noted

    def _current(self) -> None:
        """CURRENT names the generation that the catalogue means, or, where that is not known, the newest."""
        try:
            if int(live_name(self.path)) in self._generations:
                return
        except LibraryError:
            pass
        noted = [number for number in self._generations if number in self.notes]
        newest = max(noted or self._generations)
        replace_file(self.path / "CURRENT", f"{newest:06d}\n".encode())
        self.healed.append(f"{self.path / 'CURRENT'} was restored: generation {newest:06d} is live.")

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
            require_agreement(self.path, number, live.manifest.stamp, self.notes)
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
            self._lost.append(f"{len(ids)} captions could not be encoded again.")
            writer.remove_captions(ids, [], next_number(self.path))
            return
        clips = self.catalog.clips(ids).values()
        for video in {clip.video_id: clip.path for clip in clips}.items():
            self._lost.append(
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

    def search_settings(self) -> None:
        """What people have set cannot be made again."""
        try:
            read_search_settings(self.path, "")
        except LibraryError as error:
            self._lost.append(str(error))

    def pictures(self, writer: CatalogWriter) -> None:
        """Pictures that are missing or damaged, out of the videos; and those of no clip go."""
        wrong: dict[int, set[str]] = {}
        wanted: set[Path] = set()
        for clip_id, *checks in picture_checks(self.catalog):
            files = (thumbnail_path(self.path, clip_id), strip_path(self.path, clip_id))
            wanted.update(files)
            for file, expected in zip(files, checks, strict=True):
                if wrong_with_picture(file, expected):
                    wrong.setdefault(clip_id, set()).add(file.name)
        clips = list(self.catalog.clips(sorted(wrong)).values())
        for clip, decoded in self.remaker.decoded(clips) if clips else ():
            contents = {
                thumbnail_path(self.path, clip.id): decoded.picture,
                strip_path(self.path, clip.id): decoded.strip,
            }
            replace_files(contents)
            writer.set_picture_checks(clip.id, crc32(decoded.picture), crc32(decoded.strip))
            self.healed.append(f"The pictures of the clip {clip.id} ({clip.path.name}) were rebuilt.")
        for file in sorted((self.path / "thumbnails").rglob("*")):
            if file.is_file() and file not in wanted:
                file.unlink()
                self.healed.append(f"{file} belonged to no clip. It was removed.")


def _same_model(one: OnDisk, other: OnDisk) -> bool:
    return one.manifest.model.fingerprint == other.manifest.model.fingerprint
