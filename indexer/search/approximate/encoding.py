"""Making the 4-bit codes of a large gallery, and knowing how well its codebooks still fit what is added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from indexer.disk.durable_files import write_index
from indexer.search.vectors.gallery import Gallery
from indexer.search.vectors.product_codes import coding_loss, fill, train_codebook, with_codebook
from indexer.search.vectors.segment import Segment, product_codes_name
from model.levels import FloatArray, LevelSpec

APPROXIMATE_FROM = 200_000
"""Items from which a gallery is searched approximately, unless a library says otherwise."""

_BLOCK = 1 << 16
"""Rows held in memory at a time."""

_SAMPLE = 10_000
"""Rows that a codebook is learned from, and on which its loss is measured."""

_DRIFT = 1.5
"""New codebooks are due when new rows lose so many times as much as those did that the old were learned from."""

_SEED = 20220914


@dataclass(frozen=True)
class Encoding:
    """How the 4-bit codes of a gallery came about.

    rows   how many it had when the codebooks were learned
    loss   per level, the part of the rows that the codes lose (`coding_loss`)
    since  the same of the rows that came later, `later` in number
    """

    rows: int
    loss: dict[str, float]
    since: dict[str, float] = field(default_factory=dict)
    later: int = 0

    @property
    def training_due(self) -> str | None:
        """Why new codebooks should be learned, as a sentence; None if they need not be."""
        for level, loss in self.since.items():
            if self.later >= self.rows / 100 and loss > _DRIFT * self.loss[level]:
                return (
                    f"New items do not fit the codebook of level {level}: "
                    f"it loses {loss:.0%} of them, not {self.loss[level]:.0%}."
                )
        return None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def describe(self) -> str:
        return f"a fast scan of 4-bit codes, which lose {max(self.loss.values()):.0%} of the vectors at most"


def encoding_of(gallery: Gallery) -> Encoding | None:
    """How the codes of a gallery came about; None where it has none, and is searched by an exact scan."""
    return Encoding(**gallery.encoding) if gallery.encoding else None


def encode_gallery(gallery: Gallery, old: Encoding | None, added: Mapping[str, FloatArray] | None) -> Encoding:
    """Write LEVEL.pq.faiss next to the other files of every segment that lacks them.

    old    of the codebooks, if the first segment has some; None: they are learned from it
    added  rows that this gallery has and that one had not, to see how well they fit
    """
    first = gallery.segments[0]
    books = {spec.name: _codebook(first, column, spec) for column, spec in enumerate(gallery.levels)}
    for segment in gallery.segments:
        for spec in gallery.levels:
            if not (path := segment.folder / product_codes_name(spec.name)).exists():
                index = with_codebook(books[spec.name])
                for start in range(0, len(segment), _BLOCK):
                    block = np.arange(start, min(start + _BLOCK, len(segment)), dtype=np.int64)
                    index.add(fill(segment.rows(spec.name, block)))
                write_index(index, path)
    if old is None:
        rows = {spec.name: _some_rows(first, column, spec) for column, spec in enumerate(gallery.levels)}
        return Encoding(len(first), {name: coding_loss(books[name], own) for name, own in rows.items()})
    return old if added is None else _with_added(old, books, added)


def _codebook(segment: Segment, column: int, spec: LevelSpec) -> Any:
    known = segment.pq.get(spec.name)
    return train_codebook(spec.dim, _some_rows(segment, column, spec)) if known is None else known


def _some_rows(segment: Segment, column: int, spec: LevelSpec) -> FloatArray:
    return segment.rows(spec.name, sample(np.flatnonzero(segment.present[:, column])))


def _with_added(old: Encoding, books: Mapping[str, Any], added: Mapping[str, FloatArray]) -> Encoding:
    count = len(next(iter(added.values())))
    if not count:
        return old
    since = {}
    for name, rows in added.items():
        loss = coding_loss(books[name], rows[sample(np.flatnonzero(rows.any(axis=1)))])
        since[name] = (old.since.get(name, 0.0) * old.later + loss * count) / (old.later + count)
    return replace(old, since=since, later=old.later + count)


def sample(rows: np.ndarray, size: int = _SAMPLE) -> np.ndarray:
    """`size` of `rows`, in their order; all, if there are no more."""
    if len(rows) <= size:
        return rows
    return rows[np.sort(np.random.default_rng(_SEED).choice(len(rows), size, replace=False))]
