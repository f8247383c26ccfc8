"""What the search benchmark compares: each system opens or builds its index, then answers one query or a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.made_vectors import K, load, spec_of
from model.levels import LEVEL_NAMES, FloatArray, Vectors

Answer = list[list[int]]
"""Row numbers of the first K items, per query."""

Ask = Callable[[Vectors], Answer]
_DEPTH = 100
"""Items per level that the peers fuse."""


def build_library(data: Path, library: Path) -> None:
    from indexer.search.vectors.row_source import empty_rows
    from indexer.store.generation_swap import publish
    from indexer.store.library import Library

    vectors, spec = load(data), spec_of(data)
    Library.create(library, spec).close()
    rows = np.arange(len(vectors["global"]), dtype=np.int64), vectors
    # 4-bit codes at every size that is measured, to compare; the default is to scan exactly up to 200,000.
    from_all = min(len(rows[0]), 200_000)
    publish(library, spec, {"clips": rows, "captions": empty_rows(spec.levels)}, approximate_from=from_all)


def quartet(data: Path, work: Path, exact: bool, device: str = "cpu") -> Ask:
    from indexer.search.top_k import search_batch
    from indexer.store.library import Library

    clips = Library.open(work / "library", device).current().clips

    def ask(queries: Vectors) -> Answer:
        found = search_batch(clips, clips.levels, queries, K, {}, exact=exact)
        return [[hit.id for hit in result.hits] for result in found]

    return ask


def flat_union(data: Path, work: Path) -> Ask:
    """What most people would write: an IndexFlatIP per level, the union of what they find, fused."""
    import faiss  # the library's files hold exactly these indices; mapped, they open at once

    gallery = next((work / "library" / "generations").glob("*[2-9]")) / "clips"
    flags = faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY
    rows = load(data)
    parts = {
        name: [faiss.read_index(str(path), flags) for path in sorted(gallery.glob(f"*/{name}.faiss"))]
        for name in LEVEL_NAMES
    }
    indices = {name: faiss.IndexShards(own.shape[1], False, True) for name, own in rows.items()}
    for name, shards in parts.items():
        for shard in shards:
            indices[name].add_shard(shard)

    def ask(queries: Vectors) -> Answer:
        found = [indices[name].search(queries[name], _DEPTH)[1] for name in LEVEL_NAMES]
        return [_fuse(rows, queries, i, np.concatenate([ids[i] for ids in found])) for i in range(len(found[0]))]

    return ask


def numpy_scan(data: Path, work: Path) -> Ask:
    vectors = load(data)

    def ask(queries: Vectors) -> Answer:
        scores = sum(queries[name] @ vectors[name].T for name in LEVEL_NAMES)
        top = np.argpartition(-scores, K, axis=1)[:, :K]
        return [own[np.argsort(-scores[i, own])].tolist() for i, own in enumerate(top)]

    return ask


def joint_lists(data: Path, work: Path) -> Ask:
    """One IVF index with 8-bit codes over the levels side by side: for one set of weights, no absent levels."""
    import faiss

    rows = load(data)
    n = len(rows["global"])
    path = work / "joint.faiss"
    nlist = _list_count(n)
    if not path.exists():
        index = faiss.index_factory(
            sum(own.shape[1] for own in rows.values()), f"IVF{nlist},SQ8", faiss.METRIC_INNER_PRODUCT
        )
        sample = np.sort(np.random.default_rng(0).choice(n, min(n, 40 * nlist), replace=False))
        index.train(np.concatenate([rows[name][sample] for name in LEVEL_NAMES], axis=1))
        for start in range(0, n, 1 << 16):
            block = slice(start, min(start + (1 << 16), n))
            index.add(np.concatenate([rows[name][block] for name in LEVEL_NAMES], axis=1))
        faiss.write_index(index, str(path))
        del index
    index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY)
    parameters = faiss.SearchParametersIVF(nprobe=16)

    def ask(queries: Vectors) -> Answer:
        side_by_side = np.concatenate([queries[name] for name in LEVEL_NAMES], axis=1)
        found = index.search(side_by_side, 5 * K, params=parameters)[1]
        return [_fuse(rows, queries, i, ids) for i, ids in enumerate(found)]

    return ask


def lancedb(data: Path, work: Path) -> Ask:
    """Four vector columns, each past 10,000 rows with lists of 8-bit codes, as many as the joint ones.

    The union of what they find is fused from the raw vectors.
    """
    import lancedb as lance
    import pyarrow as pa

    rows = load(data)
    n = len(rows["global"])
    table: Any
    database = lance.connect(str(work / "lance"))
    if not (work / "lance" / "clips.lance").exists():
        vectors = (pa.field(name, pa.list_(pa.float32(), own.shape[1])) for name, own in rows.items())
        fields = [pa.field("id", pa.int64()), *vectors]

        def batches() -> Any:
            for start in range(0, n, 1 << 15):
                block = slice(start, min(start + (1 << 15), n))
                columns = [
                    pa.FixedSizeListArray.from_arrays(pa.array(rows[name][block].reshape(-1)), rows[name].shape[1])
                    for name in LEVEL_NAMES
                ]
                ids = pa.array(np.arange(block.start, block.stop))
                yield pa.RecordBatch.from_arrays([ids, *columns], schema=pa.schema(fields))

        table = database.create_table("clips", data=batches(), schema=pa.schema(fields))
        if n > 10_000:
            for name in LEVEL_NAMES:
                table.create_index(
                    "dot",
                    num_partitions=_list_count(n),
                    vector_column_name=name,
                    index_type="IVF_SQ",
                    sample_rate=40,
                    max_iterations=25,
                )
    table = database.open_table("clips")

    def one(queries: Vectors, i: int) -> list[int]:
        found = []
        for name in LEVEL_NAMES:
            search = (
                table.search(queries[name][i], vector_column_name=name).distance_type("dot").select(["id", "_distance"])
            )
            if n > 10_000:
                search = search.nprobes(20)
            found.append(search.limit(_DEPTH).to_arrow()["id"].to_numpy())
        return _fuse(rows, queries, i, np.concatenate(found))

    return lambda queries: [one(queries, i) for i in range(len(queries["global"]))]


def milvus(data: Path, work: Path) -> Ask:
    """Milvus Lite, the embedded build: `hybrid_search` over four FLAT fields with equal weights."""
    from pymilvus import AnnSearchRequest, DataType, MilvusClient, WeightedRanker

    rows = load(data)
    client = MilvusClient(str(work / "milvus.db"))
    if not client.has_collection("clips"):
        schema = client.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        indices = client.prepare_index_params()
        for name in LEVEL_NAMES:
            schema.add_field(name, DataType.FLOAT_VECTOR, dim=rows[name].shape[1])
            indices.add_index(name, index_type="FLAT", metric_type="IP")
        client.create_collection("clips", schema=schema, index_params=indices)
        for start in range(0, len(rows["global"]), 1000):
            block = range(start, min(start + 1000, len(rows["global"])))
            client.insert("clips", [{"id": i, **{name: rows[name][i] for name in LEVEL_NAMES}} for i in block])
    client.load_collection("clips")

    def ask(queries: Vectors) -> Answer:
        requests = [
            AnnSearchRequest(list(queries[name]), name, {"metric_type": "IP"}, limit=_DEPTH) for name in LEVEL_NAMES
        ]
        found = client.hybrid_search("clips", requests, WeightedRanker(1.0, 1.0, 1.0, 1.0, norm_score=False), limit=K)
        return [[hit["id"] for hit in hits] for hits in found]

    return ask


SYSTEMS: dict[str, Callable[[Path, Path], Ask]] = {
    "quartet, fast scan": lambda data, work: quartet(data, work, exact=False),
    "quartet, exact": lambda data, work: quartet(data, work, exact=True),
    "quartet, GPU": lambda data, work: quartet(data, work, exact=True, device="cuda"),
    "joint lists": joint_lists,
    "4 x IndexFlatIP + union": flat_union,
    "numpy scan": numpy_scan,
    "LanceDB": lancedb,
    "Milvus Lite": milvus,
}
SHARED = dict.fromkeys(("quartet, fast scan", "quartet, exact", "quartet, GPU", "4 x IndexFlatIP + union"), "quartet")
"""Systems that search the files of one library."""

STORED = {
    "quartet, fast scan": ("library/generations",),
    "quartet, exact": ("library/generations",),
    "quartet, GPU": ("library/generations",),
    "joint lists": ("data", "joint.faiss"),
    "4 x IndexFlatIP + union": ("data", "library/generations"),
    "numpy scan": ("data",),
    "LanceDB": ("data", "lance"),
    "Milvus Lite": ("milvus.db",),
}
"""The files and folders that a system answers from."""

PACKAGES = {"LanceDB": "lancedb", "Milvus Lite": "milvus_lite"}
"""What must be installed for a peer."""

LARGEST = {"Milvus Lite": 10_000}


def _list_count(n: int) -> int:
    """About twice the square root of the number of rows, a power of two: 2048 for a million."""
    return max(1, 1 << round(np.log2(2 * np.sqrt(max(n, 1)))))


def _fuse(rows: Vectors, queries: Vectors, i: int, found: FloatArray | Sequence[int]) -> list[int]:
    """The first K of the rows that any level found, scored on all levels."""
    ids = np.unique(found)
    ids = ids[ids >= 0]
    scores = sum(rows[name][ids] @ queries[name][i] for name in LEVEL_NAMES)
    return ids[np.argsort(-scores)[:K]].tolist()
