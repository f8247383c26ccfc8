"""A generation: an immutable folder with the vectors of all clips and captions at one moment."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexer.disk.durable_files import file_sha256, sync_folder, sync_tree
from indexer.search.approximate.encoding import APPROXIMATE_FROM, encode_gallery, encoding_of
from indexer.search.vectors.gallery import (
    REMOVED_FILE,
    Change,
    Gallery,
    SegmentBounds,
    open_gallery,
    segment_name,
    write_gallery,
)
from indexer.search.vectors.segment import Segment, product_codes_name
from indexer.store.manifest import Manifest, ModelInfo, format_of, model_info
from indexer.store.vector_home import HomeGallery, open_home
from model.encoder import Encoder, EncoderSpec
from model.levels import FrameSpec
from quartet.errors import LibraryError

KINDS = ("clips", "captions")
"""The two galleries of a generation."""

LoadEncoder = Callable[[], Encoder | None]
"""Loads the model of a library; None where it is missing."""

StoredGallery = Gallery | HomeGallery
"""In the files of a generation, or at another home."""

IDS_FILE = "ids.npy"
"""In the folder of a gallery at another home: the ids of its items."""

_CHECKED_AT_OPEN = 256 * 2**20
"""Bytes of a generation up to which opening reads all of it to compare checksums: a fifth of a second."""


@dataclass(frozen=True)
class Generation:
    """An open generation. It stays usable for whoever holds it, also after its folder has been removed."""

    name: str
    manifest: Manifest
    clips: StoredGallery
    captions: StoredGallery

    @property
    def model(self) -> ModelInfo:
        """The model that built it."""
        return self.manifest.model

    def gallery(self, kind: str) -> StoredGallery:
        return {"clips": self.clips, "captions": self.captions}[kind]

    def files(self, kind: str) -> Gallery:
        """The gallery where it is in files, as its caller knows."""
        gallery = self.gallery(kind)
        assert isinstance(gallery, Gallery), "its vectors are at another home"
        return gallery


def open_generation(folder: Path, device: str = "cpu") -> Generation:
    """Check a generation's files against its manifest and map them.

    Files are compared by size, and those of a small generation by checksum too (`damaged_files` does it for any).
    Raises LibraryError if a file is missing, damaged or of another format, or if the home of its vectors does not have
    them or does not answer.
    """
    manifest = Manifest.read(folder / "manifest.json")
    for name, expected in manifest.sizes.items():
        path = folder / name
        if not path.is_file():
            raise LibraryError(f"The library is damaged: {path} is missing. Run `quartet repair`.")
        if path.stat().st_size != expected:
            raise LibraryError(_damaged(path, f"it has {path.stat().st_size} bytes and should have {expected}"))
    if sum(manifest.sizes.values()) <= _CHECKED_AT_OPEN:
        for name in damaged_files(folder, manifest):
            raise LibraryError(_damaged(folder / name, f"the checksum of {folder / name} does not match its manifest"))
    if (record := manifest.home) is not None:
        home = open_home(record.address)
        held = {kind: np.load(folder / kind / IDS_FILE) for kind in KINDS}
        galleries = {
            kind: home.open(record.tag, kind, manifest.levels, held[kind], record.facts[kind]) for kind in KINDS
        }
        return Generation(folder.name, manifest, **galleries)
    clips, captions = (
        open_gallery(
            folder / kind,
            manifest.levels,
            manifest.bounds[kind],
            manifest.encoding[kind],
            device,
            frames_of(manifest.frames, kind),
        )
        for kind in KINDS
    )
    return Generation(folder.name, manifest, clips, captions)


def holds_removed(folder: Path) -> bool:
    """Whether the files of a generation hold rows of items that it no longer has."""
    lists = [folder / kind / REMOVED_FILE for kind in KINDS]
    return any(path.exists() and len(np.load(path)) for path in lists)


def frames_of(kept: FrameSpec | None, kind: str) -> FrameSpec | None:
    """What a gallery keeps of single frames: those of clips."""
    return kept if kind == "clips" else None


def damaged_files(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Read every file of a generation and compare checksums: the names of those that differ or are not there."""
    for name, expected in manifest.checksums.items():
        try:
            if file_sha256(folder / name) != expected:
                yield name
        except OSError:
            yield name


def _damaged(path: Path, how: str) -> str:
    return f"The library is damaged: {how} ({path.name}). Run `quartet repair`."


def write_generation(
    folder: Path,
    spec: EncoderSpec,
    changes: Mapping[str, Change],
    live: Generation | None = None,
    approximate_from: int | None = None,
) -> Manifest:
    """Write a complete generation to `folder`, flushed to disk before it appears under that name.

    live              the previous generation, from which `changes` keep segments
    approximate_from  items from which a gallery gets 4-bit codes. None: as `live`, or the default
    """
    with complete_folder(folder) as temporary:
        return _write_files(temporary, spec, changes, live, approximate_from)


@contextmanager
def complete_folder(folder: Path) -> Iterator[Path]:
    """A folder to write a generation into. It gets its name when everything in it is on the disk."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        sync_tree(temporary)
        temporary.rename(folder)
    except BaseException:
        # A full disk is not helped by half a generation.
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(folder.parent)


def _write_files(
    temporary: Path,
    spec: EncoderSpec,
    changes: Mapping[str, Change],
    live: Generation | None,
    approximate_from: int | None,
) -> Manifest:
    if approximate_from is None:
        approximate_from = APPROXIMATE_FROM if live is None else live.manifest.index["approximate_from"]
    bounds: dict[str, list[SegmentBounds]] = {}
    encoding: dict[str, dict[str, Any]] = {}
    checksums: dict[str, str] = {}
    for kind in KINDS:
        change, folder = changes[kind], temporary / kind
        coded = change.count >= approximate_from
        product_codes = coded and change.before is not None and encoding_of(change.before) is not None
        frames = frames_of(spec.frames, kind)
        bounds[kind] = write_gallery(folder, spec.levels, change, product_codes, frames)
        encoding[kind] = {}
        if coded:
            written = open_gallery(folder, spec.levels, bounds[kind])
            encoding[kind] = encode_gallery(written, change.before, change.added).to_json()
        if live is not None:
            checksums |= _known_checksums(live, kind, change, product_codes)
    sizes = sizes_in(temporary)
    manifest = Manifest(
        model=model_info(spec),
        levels=spec.levels,
        counts={kind: changes[kind].count for kind in KINDS},
        bounds=bounds,
        sizes=sizes,
        checksums={name: checksums.get(name) or file_sha256(temporary / name) for name in sizes},
        encoding=encoding,
        index={"approximate_from": approximate_from},
        stamp=uuid.uuid4().hex,
        frames=spec.frames,
        format_version=format_of(spec.frames),
    )
    (temporary / "manifest.json").write_text(manifest.text(), encoding="utf-8")
    return manifest


def sizes_in(folder: Path) -> dict[str, int]:
    """Bytes of every file in a folder, by its path in there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.stat().st_size for path in files}


def _known_checksums(live: Generation, kind: str, change: Change, product_codes: bool) -> dict[str, str]:
    """Checksums of the files of kept segments, which need not be read again."""
    names = {segment.folder: segment_name(number) for number, segment in enumerate(live.files(kind).segments)}
    made = () if product_codes else tuple(product_codes_name(level.name) for level in live.manifest.levels)
    found = {}
    for number, part in enumerate(change.segments):
        if isinstance(part, Segment):
            before, after = f"{kind}/{names[part.folder]}/", f"{kind}/{segment_name(number)}/"
            for name, checksum in live.manifest.checksums.items():
                if name.startswith(before) and name.removeprefix(before) not in made:
                    found[name.replace(before, after)] = checksum
    return found
