"""Fused top-10 over four levels, beside what else one could use: `python -m benchmarks.search` (docs/performance.md).

Every system runs in a process of its own, one after the other, on the same vectors and queries. Recall is
against a float64 scan. Peers that are not installed are named and left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.search_data import LEVEL_NAMES, QUERIES, load, load_queries, make_data
from benchmarks.search_systems import LARGEST, PACKAGES, SYSTEMS, K, build_library

_WARM_UP = 16
_SECONDS = 20
"""Longest that single queries, and then batches, of one system are measured."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="keep data and indices here; by default a temporary folder")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--child", nargs=2, metavar=("SYSTEM", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(_measure(options.child[0], Path(options.child[1]))))
        return
    print(f"{_machine()}, {options.threads} threads; reading memory: {_bandwidth():.1f} GB/s; seed {options.seed}")
    with tempfile.TemporaryDirectory() as temporary:
        for n in options.sizes:
            _compare(n, (options.work or Path(temporary)) / f"{n}-{options.seed}", options)


def _compare(n: int, folder: Path, options: argparse.Namespace) -> None:
    if not (folder / "truth.npy").exists():
        shutil.rmtree(folder, ignore_errors=True)
        make_data(folder / "data", n, options.seed)
        _run(["--child", "build", str(folder)], options.threads)
        np.save(folder / "truth.npy", _truth(folder / "data"))
    print(f"\n### {n:,} clips, 4 levels x 256\n")
    print("| system | recall@10 | p50 ms | p99 ms | queries/s at 32 | memory MB | of it private MB | open s |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for system in options.systems:
        if n > LARGEST.get(system, n):
            print(f"| {system} | only measured up to {LARGEST[system]:,} | | | | | | |")
        elif (package := PACKAGES.get(system)) and importlib.util.find_spec(package) is None:
            print(f"| {system} | not installed (`pip install {package}`) | | | | | | |")
        elif system == "quartet, GPU" and not _has_gpu():
            print(f"| {system} | no GPU here | | | | | | |")
        else:
            m = _run(["--child", system, str(folder)], options.threads)
            print(
                f"| {system} | {m['recall']:.3f} | {m['p50']:.2f} | {m['p99']:.2f} | {m['rate']:,.0f} "
                f"| {m['rss']:,.0f} | {m['anonymous']:,.0f} | {m['open']:.2f} |",
                flush=True,
            )
    print(f"\nbuild: {json.loads((folder / 'build.json').read_text())}")


def _run(arguments: list[str], threads: int) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "benchmarks.search", *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _measure(system: str, folder: Path) -> dict[str, float]:
    if system == "build":
        began = time.perf_counter()
        build_library(folder / "data", folder / "library")
        size = sum(path.stat().st_size for path in (folder / "library").rglob("*") if path.is_file())
        manifest = max((folder / "library" / "generations").glob("*/manifest.json"))
        tuning = json.loads(manifest.read_text())["tuning"]["clips"]
        built = {
            "build_s": round(time.perf_counter() - began, 1),
            "disk_MB": round(size / 1e6),
            **{key: tuning[key] for key in ("type", "nprobe", "depth", "recall")},
        }
        (folder / "build.json").write_text(json.dumps(built))
        return {}
    queries = load_queries(folder / "data")
    truth = np.load(folder / "truth.npy")
    import faiss  # noqa: F401  what every system needs is no part of what its opening takes
    import torch  # noqa: F401

    before = _memory()
    SYSTEMS[system](folder / "data", folder)  # builds what is not there yet
    began = time.perf_counter()
    ask = SYSTEMS[system](folder / "data", folder)
    opened = time.perf_counter() - began

    def pick(start: int, size: int) -> dict[str, np.ndarray]:
        rows = np.arange(start, start + size) % QUERIES
        return {name: queries[name][rows] for name in LEVEL_NAMES}

    for i in range(_WARM_UP):
        ask(pick(i, 1))
    times, hits = [], []
    end = time.perf_counter() + _SECONDS
    for i in range(QUERIES):
        query = pick(i, 1)
        began = time.perf_counter()
        answer = ask(query)[0]
        times.append(time.perf_counter() - began)
        hits.append(len(set(answer) & set(truth[i].tolist())) / K)
        if time.perf_counter() > end:
            break
    after = _memory()
    asked, began, end = 0, time.perf_counter(), time.perf_counter() + _SECONDS / 2
    while time.perf_counter() < end and asked < 64 * QUERIES:
        ask(pick(asked, 32))
        asked += 32
    rate = asked / (time.perf_counter() - began)
    p50, p99 = np.percentile(np.array(times) * 1e3, [50, 99])
    return {
        "recall": float(np.mean(hits)), "p50": p50, "p99": p99, "rate": rate, "open": opened,
        **{key: after[key] - before[key] for key in after},
    }  # fmt: skip


def _truth(data: Path) -> np.ndarray:
    """Row numbers of the first K items for every query, in float64, a block of items at a time."""
    vectors, queries = load(data), load_queries(data)
    n = len(vectors["global"])
    scores, ids = np.full((QUERIES, K), -np.inf), np.zeros((QUERIES, K), np.int64)
    for start in range(0, n, 1 << 14):
        block = slice(start, min(start + (1 << 14), n))
        own = sum(queries[name].astype(np.float64) @ vectors[name][block].T.astype(np.float64) for name in LEVEL_NAMES)
        numbers = np.broadcast_to(np.arange(block.start, block.stop), own.shape)
        both, names = np.concatenate([scores, own], axis=1), np.concatenate([ids, numbers], axis=1)
        top = np.argsort(-both, axis=1, kind="stable")[:, :K]
        scores, ids = np.take_along_axis(both, top, axis=1), np.take_along_axis(names, top, axis=1)
    return ids


def _memory() -> dict[str, float]:
    """MB resident, mapped files included, and MB private to the process."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    fields = {line.split(":")[0]: int(line.split()[1]) / 1e3 for line in lines}
    return {"rss": fields["Rss"], "anonymous": fields["Anonymous"]}


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _bandwidth() -> float:
    """GB/s at which all cores together read memory: the best of some sums over a gigabyte."""
    import torch

    block = torch.ones(2**28)
    best = min(_timed(block) for _ in range(7))
    return block.nbytes / best / 1e9


def _timed(block: object) -> float:
    began = time.perf_counter()
    block.max()  # type: ignore[attr-defined]
    return time.perf_counter() - began


def _machine() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return f"{len(names)} cores of {names[0].split(':')[1].strip()}" if names else "unknown machine"


if __name__ == "__main__":
    main()
