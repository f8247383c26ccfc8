"""A generation: an immutable folder with the vectors of all clips and captions at one moment."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from indexer.disk.durable_files import file_sha256, sync_folder, sync_tree
from indexer.search.approximate.inverted_lists import tuning_of
from indexer.search.approximate.list_training import ListSettings, add_fit, make_lists
from indexer.search.list_tuning import Questions, needs_retuning, questions_of, tune
from indexer.search.vectors.gallery import (
    Change,
    Gallery,
    SegmentBounds,
    open_gallery,
    segment_name,
    write_gallery,
)
from indexer.store.manifest import Manifest, ModelInfo, model_info
from model.encoder import Encoder, EncoderSpec
from quartet.errors import LibraryError

KINDS = ("clips", "captions")
"""The two galleries of a generation."""

LoadEncoder = Callable[[], Encoder | None]
"""Loads the model of a library; None where it is not at hand."""

_CHECKED_AT_OPEN = 256 * 2**20
"""Bytes of a generation up to which opening reads all of it to compare checksums: a fifth of a second."""


@dataclass(frozen=True)
class Generation:
    """An open generation. It stays usable for whoever holds it, also after its folder has been removed."""

    name: str
    manifest: Manifest
    clips: Gallery
    captions: Gallery

    @property
    def model(self) -> ModelInfo:
        """The model that built it."""
        return self.manifest.model

    def gallery(self, kind: str) -> Gallery:
        return {"clips": self.clips, "captions": self.captions}[kind]


def open_generation(folder: Path, device: str = "cpu") -> Generation:
    """Check a generation's files against its manifest and map them.

    Files are compared by size, and those of a small generation by checksum too (`damaged_files` does it for any).
    Raises LibraryError if a file is missing, damaged or of another format.
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
    clips, captions = (
        open_gallery(folder / kind, manifest.levels, manifest.bounds[kind], manifest.tuning[kind], device)
        for kind in KINDS
    )
    return Generation(folder.name, manifest, clips, captions)


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
    settings: ListSettings | None = None,
    encoder: LoadEncoder | None = None,
) -> Manifest:
    """Write a complete generation to `folder`, flushed to disk before it appears under that name.

    live      the generation before: segments that `changes` keep are its segments, and its lists, where it has
              any, lend their centroids to new ones
    settings  when to make lists and how good; given, they are trained anew. None: those of `live`, or defaults
    encoder   gives the model, with which the items of one gallery become questions to tune the lists of the other
              with; only called where lists are tuned
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        manifest = _write_files(temporary, spec, changes, live, settings, encoder)
        sync_tree(temporary)
        temporary.rename(folder)
    except BaseException:
        # A full disk is not helped by half a generation.
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(folder.parent)
    return manifest


def _write_files(
    temporary: Path,
    spec: EncoderSpec,
    changes: Mapping[str, Change],
    live: Generation | None,
    settings: ListSettings | None,
    encoder: LoadEncoder | None,
) -> Manifest:
    bounds = {kind: write_gallery(temporary / kind, spec.levels, changes[kind]) for kind in KINDS}
    wanted = settings or (ListSettings() if live is None else ListSettings(**live.manifest.index))
    tuning = {}
    for kind, other in zip(KINDS, reversed(KINDS), strict=True):

        def asking(other: str = other) -> Questions | None:
            model = None if encoder is None else encoder()
            gallery = open_gallery(temporary / other, spec.levels, bounds[other])
            return None if model is None else questions_of(gallery, other, model)

        known = live.gallery(kind) if live and not settings else None
        questions = _Available(changes[other].count, asking)
        tuning[kind] = _lists(temporary / kind, spec, changes[kind], bounds[kind], wanted, known, questions)
    files = sorted(path for path in temporary.rglob("*") if path.is_file())
    sizes = {str(path.relative_to(temporary)): path.stat().st_size for path in files}
    checksums = {} if live is None else _known_checksums(live, changes)
    manifest = Manifest(
        model=model_info(spec),
        levels=spec.levels,
        counts={kind: changes[kind].count for kind in KINDS},
        bounds=bounds,
        sizes=sizes,
        checksums={name: checksums.get(name) or file_sha256(temporary / name) for name in sizes},
        tuning=tuning,
        index=asdict(wanted),
        stamp=uuid.uuid4().hex,
    )
    (temporary / "manifest.json").write_text(manifest.text(), encoding="utf-8")
    return manifest


class _Available(NamedTuple):
    """What the lists of a gallery can be tuned with: items of the other, and the questions of some (None: too few)."""

    items: int
    questions: Callable[[], Questions | None]


def _lists(
    folder: Path,
    spec: EncoderSpec,
    change: Change,
    bounds: list[SegmentBounds],
    settings: ListSettings,
    live: Gallery | None,
    available: _Available,
) -> dict[str, Any]:
    """Make the lists of a large gallery whose files are in `folder`; returns how to search them, {} without."""
    old = None if live is None else tuning_of(live)
    if change.kept is not None:
        if old is None:
            return {}
        kept = add_fit(old, change.kept, change.added[1])
        if needs_retuning(old, available.items) and (questions := available.questions()):
            kept = tune(open_gallery(folder, spec.levels, bounds), replace(kept, recall=0.0), questions)
        return kept.to_json()
    if change.count < settings.approximate_from:
        return {}
    gallery = open_gallery(folder, spec.levels, bounds)
    if live is not None and old is not None:
        untuned = make_lists(gallery.segments[0], spec.levels, settings, live.segments[0])
        fresh = ~np.isin(change.added[0], live.ids, assume_unique=True)
        seen = add_fit(old, live, {name: rows[fresh] for name, rows in change.added[1].items()})
        untuned = replace(untuned, type=old.type, rows=old.rows, fit=old.fit, since=seen.since, later=seen.later)
    else:
        untuned = make_lists(gallery.segments[0], spec.levels, settings)
    return tune(open_gallery(folder, spec.levels, bounds), untuned, available.questions()).to_json()


def _known_checksums(live: Generation, changes: Mapping[str, Change]) -> dict[str, str]:
    """Checksums of the files of kept segments, which need not be read again."""
    kept = tuple(
        f"{kind}/{segment_name(i)}/"
        for kind in KINDS
        if (gallery := changes[kind].kept) is not None
        for i in range(len(gallery.segments))
    )
    return {name: checksum for name, checksum in live.manifest.checksums.items() if name.startswith(kept)}
