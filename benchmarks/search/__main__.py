"""Fused top-10 over four levels, versus what else one could use: `python -m benchmarks.search` (docs/performance.md).

Every system runs in a process of its own, one after the other, on the same vectors and queries. Recall is
against a float64 scan. Peers that are not installed are named and left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.machine import machine
from benchmarks.search.made_vectors import (
    KINDS,
    LEVEL_NAMES,
    QUERIES,
    K,
    library_data,
    load,
    load_queries,
    make_data,
    truth,
)
from benchmarks.search.systems import LARGEST, PACKAGES, SHARED, STORED, SYSTEMS, build_library

_WARM_UP = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="of made vectors")
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="keep data and indices here; by default a temporary folder")
    parser.add_argument(
        "--seconds", type=float, default=12, help="longest for single queries of a system, and for its batches together"
    )
    parser.add_argument("--prepare", action="store_true", help="make data and indices and measure nothing")
    parser.add_argument("--library", type=Path, help="measure with real vectors: find captions by its clips")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--child", nargs=2, metavar=("SYSTEM", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--build", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        system, folder = options.child[0], Path(options.child[1])
        print(json.dumps(_build(system, folder) if options.build else _measure(system, folder, options.seconds)))
        return
    print(f"{machine()}, {options.threads} threads; reading memory: {_bandwidth():.1f} GB/s; seed {options.seed}")
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        if options.library:
            n = library_data(work / "real" / "data", options.library, options.seed)
            _compare(f"{n:,} captions of the demo world", n, work / "real", options)
            return
        for n, kind in itertools.product(options.sizes, options.kinds):
            folder = work / f"{kind}-{n}-{options.seed}"
            make_data(folder / "data", n, options.seed, kind)
            _compare(f"{n:,} clips, {kind} data", n, folder, options)


def _compare(title: str, n: int, folder: Path, options: argparse.Namespace) -> None:
    if not (folder / "truth.npy").exists():
        np.save(folder / "truth.npy", truth(folder / "data"))
    left_out, built = {}, {}
    for system in options.systems:
        if n > LARGEST.get(system, n):
            left_out[system] = f"only measured up to {LARGEST[system]:,}"
        elif (package := PACKAGES.get(system)) and importlib.util.find_spec(package) is None:
            left_out[system] = f"not installed (`pip install {package}`)"
        elif system == "quartet, GPU" and not _has_gpu():
            left_out[system] = "no GPU here"
        else:
            built[system] = _built(system, folder, options.threads)
    if options.prepare:
        print(f"{title}: built {built}", flush=True)
        return
    dims = [rows.shape[1] for rows in load(folder / "data").values()]
    print(f"\n### {title}, levels of {dims} dimensions\n")
    columns = (
        "recall@10",
        "CPU ms",
        "at 32",
        "p50 ms",
        "p99 ms",
        "q/s at 8",
        "q/s at 32",
        "memory MB",
        "private MB",
        "build s",
        "open s",
    )
    print(f"| system | {' | '.join(columns)} |\n|{'---|' * (1 + len(columns))}", flush=True)
    for system in options.systems:
        if system in left_out:
            print(f"| {system} | {left_out[system]} {'| ' * len(columns)}|")
            continue
        m = _run(["--seconds", str(options.seconds), "--child", system, str(folder)], options.threads)
        print(
            f"| {system} | {m['recall']:.3f} | {m['cpu_1']:.2f} | {m['cpu_32']:.2f} | {m['p50']:.2f} | {m['p99']:.2f} "
            f"| {m['rate_8']:,.0f} | {m['rate_32']:,.0f} | {m['rss']:,.0f} | {m['anonymous']:,.0f} "
            f"| {built[system]['seconds']:,.0f} | {m['open']:.2f} |",
            flush=True,
        )
    print(f"\nbuilt: {built}; 1.3 x half-precision vectors: {1.3 * 2 * sum(dims) * n / 1e6:,.0f} MB")


def _built(system: str, folder: Path, threads: int) -> dict[str, float]:
    """Seconds and MB of disk that a system's index took; systems that share one share them."""
    key = SHARED.get(system, system)
    path = folder / "built.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    if key not in known:
        known[key] = _run(["--build", "--child", system, str(folder)], threads)
        path.write_text(json.dumps(known))
    return known[key]


def _run(arguments: list[str], threads: int) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    # Not all systems read that: none gets more cores either.
    confined = partial(os.sched_setaffinity, 0, sorted(os.sched_getaffinity(0))[:threads])
    command = [sys.executable, "-m", "benchmarks.search", *arguments]
    done = subprocess.run(command, env=environment, preexec_fn=confined, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _build(system: str, folder: Path) -> dict[str, float]:
    before, began = _disk(folder), time.perf_counter()
    if system.startswith("quartet") or system in SHARED:
        build_library(folder / "data", folder / "library")
        manifest = max((folder / "library" / "generations").glob("*/manifest.json"))
        extra = {"loss": json.loads(manifest.read_text())["encoding"]["clips"]["loss"]}
    else:
        SYSTEMS[system](folder / "data", folder)
        extra = {}
    seconds = time.perf_counter() - began
    return {"seconds": round(seconds, 1), "disk_MB": round(_disk(folder) - before), **extra}


def _disk(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _read(place: Path) -> None:
    for path in place.rglob("*") if place.is_dir() else [place]:
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 24):
                    pass


def _measure(system: str, folder: Path, seconds: float) -> dict[str, float]:
    queries = load_queries(folder / "data")
    expected, n = np.load(folder / "truth.npy"), len(load(folder / "data")[LEVEL_NAMES[0]])
    import faiss  # noqa: F401  what every system needs is not part of what its opening takes
    import torch  # noqa: F401

    # Found on disk or in memory, an index is what it is: the kernel has all of it when measuring begins.
    for place in STORED[system]:
        _read(folder / place)
    before = _memory()
    began = time.perf_counter()
    ask = SYSTEMS[system](folder / "data", folder)
    opened = time.perf_counter() - began

    def pick(start: int, size: int) -> dict[str, np.ndarray]:
        rows = np.arange(start, start + size) % QUERIES
        return {name: queries[name][rows] for name in LEVEL_NAMES}

    for i in range(_WARM_UP):
        ask(pick(i, 1))
    if system == "quartet, exact":
        # A process that keeps asking compiles during its first searches: wait for that rather than measure both ways.
        from indexer.search.exact.code_scan import compiled_kernel

        compiled_kernel(n, wait=True)
        ask(pick(0, 1))
    times, hits = [], []
    spent = time.process_time()
    end = time.perf_counter() + seconds
    for i in range(QUERIES):
        query = pick(i, 1)
        began = time.perf_counter()
        answer = ask(query)[0]
        times.append(time.perf_counter() - began)
        hits.append(len(set(answer) & set(expected[i].tolist())) / K)
        if time.perf_counter() > end:
            break
    # What other work on the machine hardly changes, all threads together, per query.
    rates = {"cpu_1": (time.process_time() - spent) / len(times) * 1e3}
    after = _memory()
    for size in (8, 32):
        asked, spent = 0, time.process_time()
        began, end = time.perf_counter(), time.perf_counter() + seconds / 2
        while time.perf_counter() < end and asked < 64 * QUERIES:
            ask(pick(asked, size))
            asked += size
        rates[f"rate_{size}"] = asked / (time.perf_counter() - began)
        rates[f"cpu_{size}"] = (time.process_time() - spent) / asked * 1e3
    p50, p99 = np.percentile(np.array(times) * 1e3, [50, 99])
    return {
        "recall": float(np.mean(hits)), "p50": p50, "p99": p99, **rates, "open": opened,
        **{key: after[key] - before[key] for key in after},
    }  # fmt: skip


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


if __name__ == "__main__":
    main()
