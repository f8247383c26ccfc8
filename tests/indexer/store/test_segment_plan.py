"""Which segments a gallery has after many changes: its vectors stay right, and few of them are written at a time."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from indexer.search.vectors import row_source
from indexer.search.vectors.gallery import Gallery, open_gallery, write_gallery
from indexer.search.vectors.row_source import RowSource, empty_rows, from_arrays
from indexer.search.vectors.segment import Segment, flat_header
from indexer.store import segment_plan
from indexer.store.segment_plan import plan_segments, whole
from model.levels import LEVEL_NAMES, FloatArray, LevelSpec
from quartet.errors import LibraryError

LEVELS = tuple(LevelSpec(name, 3 + i) for i, name in enumerate(LEVEL_NAMES))


def vectors_of(ids: np.ndarray) -> dict[str, FloatArray]:
    """That tell their item."""
    return {spec.name: np.repeat(ids[:, None], spec.dim, axis=1).astype(np.float32) / 7 for spec in LEVELS}


def items(first: int, last: int) -> RowSource:
    ids = np.arange(first, last)
    return from_arrays(ids, vectors_of(ids))


def check(gallery: Gallery, ids: np.ndarray) -> None:
    assert gallery.ids.tolist() == ids.tolist()
    for name, rows in vectors_of(ids).items():
        assert np.array_equal(gallery.vectors(ids)[name], rows)


class Life:
    """Galleries that follow each other, and how many rows were written."""

    def __init__(self, folder: Path, rows: RowSource) -> None:
        self._folder, self._number, self.written = folder, 0, 0
        bounds = write_gallery(folder / "0", LEVELS, whole(rows))
        self.gallery = open_gallery(folder / "0", LEVELS, bounds)

    def change(self, ids: np.ndarray, staged: RowSource, erases: bool = False) -> int:
        """Returns how many rows this has written."""
        plan = plan_segments(ids, self.gallery, staged.only(np.setdiff1d(ids, self.gallery.ids)), erases)
        written = sum(len(part) for part in plan.segments if not isinstance(part, Segment))
        self._number += 1
        folder = self._folder / str(self._number)
        self.gallery = open_gallery(folder, LEVELS, write_gallery(folder, LEVELS, plan))
        self.written += written
        assert plan.count == len(self.gallery) == len(ids)
        return written


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_plan, "_SMALL", 10)
    monkeypatch.setattr(segment_plan, "_MAX_NEW_ROWS", 200)
    monkeypatch.setattr(segment_plan, "_MAX_SEGMENTS", 12)
    monkeypatch.setattr(row_source, "BLOCK", 64)


@pytest.mark.parametrize("seed", range(4))
def test_every_item_keeps_its_vectors_through_any_changes(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    life, everything = Life(tmp_path, items(1, 1 + int(rng.integers(0, 600)))), items(1, 20_000)
    last = int(life.gallery.ids.max(initial=0))
    for _ in range(15):
        gone = rng.random(len(life.gallery)) < rng.choice([0, 0, 0.002, 0.05, 0.9])
        back = np.setdiff1d(np.arange(1, last), life.gallery.ids)[: int(rng.integers(0, 3))]  # a caption comes again
        last += int(rng.choice([0, 1, 7, 60, 450]))
        ids = np.unique(
            np.concatenate([life.gallery.ids[~gone], back, np.arange(life.gallery.ids.max(initial=0) + 1, last)])
        )
        erases = bool(rng.random() < 0.5)
        life.change(ids, everything, erases)
        check(life.gallery, ids)
        assert not (erases and len(life.gallery.removed)), "no file may have what was removed on purpose"
        assert len(life.gallery.removed) <= len(life.gallery.row_ids) / 10
        assert len(life.gallery.segments) <= 12


def test_publishing_a_few_at_a_time_writes_an_item_a_few_times(tmp_path: Path) -> None:
    life, everything, count = Life(tmp_path, items(1, 2)), items(1, 3100), 1
    most = 0
    while count < 2000:
        count += 25
        most = max(most, life.change(np.arange(1, count + 1), everything))
    check(life.gallery, np.arange(1, count + 1))
    assert life.written < 12 * count
    assert most <= 600, "never all of it"
    assert len(life.gallery.segments) <= 12


def test_what_is_removed_on_purpose_costs_the_segment_that_has_it(tmp_path: Path) -> None:
    life = Life(tmp_path, items(1, 1001))
    before = life.gallery
    ids = np.setdiff1d(before.ids, [777])
    assert life.change(ids, items(1, 1), erases=True) == len(before.segments[3]) - 1
    check(life.gallery, ids)
    for place in (0, 1, 2, 4):
        assert life.gallery.segments[place].file_id("action") == before.segments[place].file_id("action")


def test_a_large_gallery_has_large_segments(tmp_path: Path) -> None:
    life = Life(tmp_path, items(1, 5001))
    assert len(life.gallery.segments) <= 12
    written = [life.change(np.arange(1, 5001 + 40 * i), items(1, 7000)) for i in range(1, 40)]
    assert max(written) <= 2 * (2 * 6600 // 12), "two neighbours at most"
    check(life.gallery, np.arange(1, 5001 + 40 * 39))


def test_everything_may_go(tmp_path: Path) -> None:
    life = Life(tmp_path, items(1, 500))
    life.change(np.zeros(0, np.int64), items(1, 1), erases=True)
    assert (len(life.gallery), len(life.gallery.segments), len(life.gallery.removed)) == (0, 1, 0)
    life.change(np.arange(500, 520), items(500, 520))
    check(life.gallery, np.arange(500, 520))


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65])
def test_a_file_that_is_written_in_blocks_is_what_faiss_writes(tmp_path: Path, count: int) -> None:
    rows = vectors_of(np.arange(count))["action"]
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    faiss.write_index(index, str(tmp_path / "theirs"))
    assert (tmp_path / "theirs").read_bytes() == flat_header(rows.shape[1], count) + rows.tobytes()
    write_gallery(tmp_path / "ours", LEVELS, whole(items(0, count)))
    assert (tmp_path / "ours" / "0000" / "action.faiss").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_a_vector_of_a_later_block_that_is_not_finite_is_named(tmp_path: Path) -> None:
    vectors = vectors_of(np.arange(100))
    vectors["action"][93, 1] = np.inf
    with pytest.raises(LibraryError, match="action vector of item 93 contains NaN or infinity"):
        write_gallery(tmp_path / "g", LEVELS, whole(from_arrays(np.arange(100), vectors)))


def test_no_items_are_a_gallery_too(tmp_path: Path) -> None:
    bounds = write_gallery(tmp_path / "g", LEVELS, whole(from_arrays(*empty_rows(LEVELS))))
    assert len(open_gallery(tmp_path / "g", LEVELS, bounds)) == 0
