"""Making the 4-bit codes of a large gallery, and knowing how well its codebooks still fit what is added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from indexer.disk.durable_files import write_index
from indexer.search.vectors.gallery import Gallery
from indexer.search.vectors.product_codes import codes_of, coding_loss, fill, train_codebook, with_codebook
from indexer.search.vectors.row_source import BLOCK, Ids, RowSource
from indexer.search.vectors.segment import Segment, product_codes_name
from model.levels import FloatArray, LevelSpec

APPROXIMATE_FROM = 200_000
"""Items from which a gallery is searched approximately, unless a library says otherwise."""

_SAMPLE = 10_000
"""Rows that a codebook is learned from, and on which its loss is measured."""

_DRIFT = 1.5
"""New codebooks are due when new rows lose so many times as much as those did that the old were learned from."""

_SEED = 20220914


class Encoded(Protocol):
    """A gallery that may have 4-bit codes."""

    @property
    def encoding(self) -> Mapping[str, Any]: ...


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


def encoding_of(gallery: Encoded) -> Encoding | None:
    """How the codes of a gallery came about; None where it has none, and is searched by an exact scan."""
    return Encoding(**gallery.encoding) if gallery.encoding else None


def encode_gallery(gallery: Gallery, before: Gallery | None, added: RowSource | None) -> Encoding:
    """Write LEVEL.pq.faiss next to the other files of every segment that lacks them.

    before  a gallery whose codebooks hold, if it has some; None: they are learned from this one
    added   items that this gallery has and that one had not, to see how well they fit
    """
    old = None if before is None else encoding_of(before)
    if before is None or old is None:
        rows = {spec.name: _some_rows(gallery, column, spec) for column, spec in enumerate(gallery.levels)}
        books = {spec.name: train_codebook(spec.dim, rows[spec.name]) for spec in gallery.levels}
        encoding = Encoding(len(gallery.row_ids), {name: coding_loss(books[name], own) for name, own in rows.items()})
    else:
        books = before.segments[0].pq
        encoding = old if added is None else _with_added(old, books, added)
    for segment in gallery.segments:
        for spec in gallery.levels:
            if not (path := segment.folder / product_codes_name(spec.name)).exists():
                index = with_codebook(books[spec.name])
                for start in range(0, len(segment), BLOCK):
                    block = np.arange(start, min(start + BLOCK, len(segment)), dtype=np.int64)
                    index.add_sa_codes(_codes(index, segment, spec.name, block, None if old is None else before))
                write_index(index, path)
    return encoding


def _codes(index: Any, segment: Segment, level: str, rows: Ids, before: Gallery | None) -> npt.NDArray[np.uint8]:
    """The codes of some rows of a segment: those of `before`, where it has the items, and else made by `index`."""
    codes = np.empty((len(rows), index.code_size), np.uint8)
    new = np.ones(len(rows), np.bool_)
    if before is not None and len(before.row_ids):
        ids = segment.ids[rows]
        places = np.minimum(np.searchsorted(before.row_ids, ids), len(before.row_ids) - 1)
        new = before.row_ids[places] != ids
        owners = np.searchsorted(before.starts, places, side="right") - 1
        for number in np.unique(owners[~new]):
            mine = ~new & (owners == number)
            codes[mine] = codes_of(before.segments[number].pq[level])[places[mine] - before.starts[number]]
    if new.any():
        codes[new] = index.sa_encode(fill(segment.rows(level, rows[new])))
    return codes


def _some_rows(gallery: Gallery, column: int, spec: LevelSpec) -> FloatArray:
    return gallery.rows(spec.name, sample(np.flatnonzero(gallery.present[:, column])))


def _with_added(old: Encoding, books: Mapping[str, Any], added: RowSource) -> Encoding:
    if not len(added):
        return old
    count, since = len(added), {}
    found = added.read(sample(added.ids))
    for name, book in books.items():
        loss = coding_loss(book, found[name][found[name].any(axis=1)])
        since[name] = (old.since.get(name, 0.0) * old.later + loss * count) / (old.later + count)
    return replace(old, since=since, later=old.later + count)


def sample(rows: np.ndarray, size: int = _SAMPLE) -> np.ndarray:
    """`size` of `rows`, in their order; all, if there are no more."""
    if len(rows) <= size:
        return rows
    return rows[np.sort(np.random.default_rng(_SEED).choice(len(rows), size, replace=False))]
