"""What a library in Milvus costs versus its own files: export, then single queries over the vectors of `made_vectors`.

    python -m benchmarks.search.milvus --clips 10000 --work DIR
    python -m benchmarks.search.milvus --clips 10000 --work DIR --to milvus://localhost:19530/benchmark

Without --to, Milvus Lite in DIR. Every answer is compared with that of an exact scan of the library's own files. With
--home the vectors move to Milvus, which also loses a video, and back.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
from sqlalchemy import insert

from benchmarks.search.made_vectors import KINDS, QUERIES, load_queries, make_data, spec_of
from benchmarks.search.systems import K, build_library
from indexer.catalog.schema import clips, roots, videos
from indexer.catalog.writer import CatalogWriter
from indexer.disk.writer_lock import writer_lock
from indexer.milvus.export import export_library
from indexer.milvus.generations import MilvusStore
from indexer.search.approximate.encoding import APPROXIMATE_FROM
from indexer.search.remote_gallery import AnyGallery
from indexer.search.result import SearchResult
from indexer.search.top_k import search
from indexer.store.library import Library
from indexer.store.management import remove_videos
from indexer.store.publishing import move_vectors
from model.levels import Vectors

_WARM_UP = 8

_VIDEOS = Path("/made-videos")
"""There are none."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=64, help=f"at most {QUERIES}")
    parser.add_argument("--work", type=Path, required=True, help="folder for data and library, kept")
    parser.add_argument("--to", help="address of a Milvus")
    parser.add_argument("--home", action="store_true", help="move the vectors there, instead of copying them")
    parser.add_argument("--kind", choices=KINDS, default="easy", help="of made vectors")
    parser.add_argument("--lists", action="store_true", help="inverted lists, also below 200,000 clips")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    folder = given.work / f"milvus-{given.kind}-{given.clips}-{given.seed}"
    data, library = folder / "data", folder / "library"
    make_data(data, given.clips, given.seed, given.kind)
    if not library.exists():
        build_library(data, library)
    to = given.to or f"milvus://{(folder / 'milvus.db').resolve()}"
    queries = load_queries(data)
    rows = [{name: own[i : i + 1] for name, own in queries.items()} for i in range(given.queries)]
    with Library.open(library) as own:
        truth, scan_ms = _ask(own.current().clips, rows, exact=True)
    if given.home:
        _catalogue(library, given.clips)
        _timed(f"{given.clips:,} clips move to {to}", lambda: move_vectors(library, to))
        with Library.open(library) as there:
            found, ms = _ask(there.served().clips, rows, exact=False)
    else:
        export = partial(export_library, library, to, approximate_from=1 if given.lists else APPROXIMATE_FROM)
        _timed(f"{given.clips:,} clips go to {to}", export)
        with Library.open(library, elsewhere=MilvusStore.open(library, to)) as there:
            found, ms = _ask(there.served().clips, rows, exact=False)
    shared = [_ids(a) & _ids(b) for a, b in zip(found, truth, strict=True)]
    print(f"recall@{K} {np.mean([len(common) / K for common in shared]):.3f}, exact answers: ", end="")
    print(f"{sum(result.exact for result in found)} of {len(found)}")
    print(f"p50 {np.median(ms):.1f} ms, p99 {np.percentile(ms, 99):.1f} ms; ", end="")
    print(f"from the library's own files, exact: p50 {np.median(scan_ms):.1f} ms")
    print(f"of it lists {np.median([r.took_ms['lists'] for r in found]):.1f} ms, ", end="")
    print(f"fetching and scoring {np.median([r.took_ms['rank'] for r in found]):.1f} ms")
    print(f"items scored per query: median {np.median([result.candidates for result in found]):.0f}, ", end="")
    print(f"most {max(result.candidates for result in found)}")
    if given.home:
        _timed("a video of ten clips is removed", lambda: remove_videos(library, [_VIDEOS / "1.mp4"]))
        _timed("the others move back", lambda: move_vectors(library, "folder", erase_now=True))


def _catalogue(library: Path, count: int) -> None:
    """Have the catalogue know the clips, ten of a video: `build_library` writes vectors alone."""
    of = {"size": 1, "mtime": 0.0, "duration": 100.0, "fps": 25.0, "width": 640, "height": 360}
    levels = spec_of(library.parent / "data").levels
    with (
        writer_lock(library),
        closing(CatalogWriter(library / "catalog.sqlite", levels)) as writer,
        writer.engine.begin() as connection,
    ):
        connection.execute(insert(roots), [{"id": 1, "name": "videos", "path": str(_VIDEOS)}])
        names = [
            {"id": i, "relpath": f"{i}.mp4", "title": str(i), "sha256": f"{i:064x}"} for i in range(-(-count // 10))
        ]
        connection.execute(insert(videos), [{**name, "root_id": 1, **of} for name in names])
        rows = [
            {"id": i, "video_id": i // 10, "start": 10.0 * (i % 10), "end": 10.0 * (i % 10) + 10} for i in range(count)
        ]
        connection.execute(insert(clips), rows)


def _timed(what: str, step: Callable[[], object]) -> None:
    began, cpu = time.perf_counter(), time.process_time()
    step()
    print(f"{what}: {time.perf_counter() - began:.1f} s, {time.process_time() - cpu:.1f} s of a processor", flush=True)


def _ask(gallery: AnyGallery, queries: list[Vectors], exact: bool) -> tuple[list[SearchResult], list[float]]:
    """Answers one at a time, and the milliseconds of each."""
    for query in queries[:_WARM_UP]:
        search(gallery, gallery.levels, query, K, {}, exact=exact)
    results, took = [], []
    for query in queries:
        began = time.perf_counter()
        results.append(search(gallery, gallery.levels, query, K, {}, exact=exact))
        took.append((time.perf_counter() - began) * 1e3)
    return results, took


def _ids(result: SearchResult) -> set[int]:
    return {hit.id for hit in result.hits}


if __name__ == "__main__":
    main()
