"""A generation: an immutable folder with the vectors of all clips and captions at one moment."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.durable import file_sha256, sync_folder, sync_tree
from indexer.gallery import Gallery, open_gallery, write_gallery
from indexer.manifest import Manifest, model_info
from model.encoder import EncoderSpec
from model.errors import LibraryError
from model.levels import Vectors

KINDS = ("clips", "captions")
"""The two galleries of a generation."""

Rows = tuple[npt.NDArray[np.int64], Vectors]
"""Ascending ids and their vectors."""


@dataclass(frozen=True)
class Generation:
    """An open generation. It stays usable for whoever holds it, also after its folder has been removed."""

    name: str
    manifest: Manifest
    clips: Gallery
    captions: Gallery

    def gallery(self, kind: str) -> Gallery:
        return {"clips": self.clips, "captions": self.captions}[kind]


def open_generation(folder: Path) -> Generation:
    """Check a generation's files against its manifest and map them.

    Raises LibraryError if a file is missing, damaged or of a newer format.
    """
    manifest = Manifest.read(folder / "manifest.json")
    for name, expected in manifest.checksums.items():
        path = folder / name
        if not path.is_file():
            raise LibraryError(f"The library is damaged: {path} is missing. Index the videos into a new library.")
        if file_sha256(path) != expected:
            raise LibraryError(
                f"The library is damaged: the checksum of {path} does not match its manifest. "
                "Restore the file from a backup, or index the videos into a new library."
            )
    clips, captions = (open_gallery(folder / kind, manifest.levels, manifest.max_norms[kind]) for kind in KINDS)
    return Generation(folder.name, manifest, clips, captions)


def write_generation(folder: Path, spec: EncoderSpec, rows: Mapping[str, Rows]) -> None:
    """Write a complete generation to `folder`, flushed to disk before it appears under that name."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    max_norms = {kind: write_gallery(temporary / kind, spec.levels, *rows[kind]) for kind in KINDS}
    files = sorted(path for path in temporary.rglob("*") if path.is_file())
    Manifest(
        model=model_info(spec),
        levels=spec.levels,
        counts={kind: len(rows[kind][0]) for kind in KINDS},
        max_norms=max_norms,
        checksums={str(path.relative_to(temporary)): file_sha256(path) for path in files},
    ).write(temporary / "manifest.json")
    sync_tree(temporary)
    temporary.rename(folder)
    sync_folder(folder.parent)


def empty_rows(spec: EncoderSpec) -> Rows:
    return np.zeros(0, np.int64), {level.name: np.zeros((0, level.dim), np.float32) for level in spec.levels}
