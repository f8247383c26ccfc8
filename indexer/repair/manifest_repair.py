"""What names the generations of a library: manifests, CURRENT and the identity, made again out of its catalogue."""

from __future__ import annotations

from pathlib import Path

from indexer.catalog.reader import Catalog
from indexer.catalog.records import GenerationNote
from indexer.disk.durable_files import replace_file
from indexer.disk.library_identity import identity_of, set_identity
from indexer.repair.generation_repair import OnDisk
from indexer.store.layout import generation_folder, generation_numbers, live_name
from indexer.store.manifest import Manifest
from indexer.store.verification import manifest_text
from quartet.errors import LibraryError


class ManifestRepair:
    """One repair. healed: sentences about what was restored."""

    def __init__(self, path: Path, catalog: Catalog) -> None:
        self.path = path
        self.catalog = catalog
        self.notes = catalog.generations()
        self.healed: list[str] = []
        self._generations: dict[int, OnDisk] = {}

    def run(self) -> dict[int, OnDisk]:
        """The generations that have a manifest now, by number. Raises LibraryError if there is none."""
        self._require_own_catalogue()
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
        return self._generations

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
