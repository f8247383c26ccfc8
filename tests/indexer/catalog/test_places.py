"""Videos by where they are: asked of the database, the answers are those of `Path.is_relative_to`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from indexer.catalog.reader import Catalog
from indexer.catalog.records import FileState, NewClip
from indexer.catalog.writer import CatalogWriter
from indexer.media.header import VideoInfo
from indexer.store.library import Library
from model.fake_encoder import FakeEncoder

INFO = VideoInfo(10.0, 25.0, 64, 48, 250)

PLACES = (
    "/one/a", "/one/a/b.mp4", "/one/a/b/c.mp4", "/one/a.b/c.mp4", "/one/a0", "/one/a b", "/one/A/b.mp4",
    "/one/a%/b.mp4", "/one/a_/b.mp4", "/one/ax/b.mp4", "/one/é/b.mp4",
    "/two/a/b.mp4", "/two/inner/a/b.mp4", "/two/inner/b.mp4",
)  # fmt: skip


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    encoder = FakeEncoder(dim=4)
    Library.create(tmp_path / "lib", encoder.spec).close()
    path = tmp_path / "lib" / "catalog.sqlite"
    vectors = {level.name: np.ones(4, np.float32) for level in encoder.spec.levels}
    clip = NewClip(0.0, 10.0, vectors, b"", b"")
    with closing(CatalogWriter(path, encoder.spec.levels)) as writer:
        for root in ("/two/inner", "/one", "/two"):
            writer.add_root(Path(root))
        for number, place in enumerate((*PLACES, "/one/gone/x.mp4")):
            file = FileState(Path(place), 100 - number % 3, 0.0, str(number))
            writer.add_video(file, INFO, "whole", [clip], 1, lambda pictures: None)
        writer.remove_videos([len(PLACES) + 1], 1)
    return Catalog(path)


ASKED = (
    *PLACES, "/", "/one", "/two", "/two/inner", "/two/inner/a", "/one/a/b", "/one/A", "/one/a%", "/one/a_", "/one/gone",
    "/one/é", "/on", "/one/nothing", "/two/inn", "/one/a/b.mp4/x", "/elsewhere",
)  # fmt: skip


@pytest.mark.parametrize("asked", ASKED)
def test_a_place_has_the_videos_that_are_at_it_or_below(catalog: Catalog, asked: str) -> None:
    expected = [number for number, place in enumerate(PLACES, 1) if Path(place).is_relative_to(asked)]
    assert catalog.video_ids_under([Path(asked)]) == expected
    assert [(video.id, str(video.path)) for video in catalog.videos_under([Path(asked)])] == [
        (number, PLACES[number - 1]) for number in expected
    ]
    latest = catalog.latest_under(Path(asked))
    assert (latest and latest.id) == (expected[-1] if expected else None)


def test_many_places_are_asked_at_once(catalog: Catalog) -> None:
    asked = [Path(f"/one/none/{i}") for i in range(2000)] + [Path("/one/a"), Path("/one/a/b.mp4"), Path("/two/inner")]
    assert catalog.video_ids_under(asked) == [1, 2, 3, 13, 14]
    assert catalog.video_ids_under([]) == []


def test_a_root_that_has_moved_is_asked_where_it_is(catalog: Catalog) -> None:
    catalog.relocate({"one": Path("/disk/films")})
    assert catalog.video_ids_under([Path("/disk/films/a")]) == [1, 2, 3]
    assert catalog.video_ids_under([Path("/one")]) == []


def test_videos_by_size(catalog: Catalog) -> None:
    sizes, ids = catalog.video_sizes()
    assert sizes.tolist() == sorted(sizes.tolist())
    assert {100 - (video_id - 1) % 3 for video_id in ids[sizes == 99].tolist()} == {99}
    assert [video.id for video in catalog.videos([3, 1, len(PLACES) + 1])] == [1, 3]
    assert catalog.video_paths()[2] == Path("/one/a/b.mp4")
    assert catalog.media_sums() == (10.0 * len(PLACES), sum(100 - i % 3 for i in range(len(PLACES))))
