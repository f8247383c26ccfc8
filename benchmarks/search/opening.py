"""Opening a large library in several processes: how long it takes and which memory they share.

`python -m benchmarks.search.opening LIBRARY --processes 2` (docs/performance.md). Every process opens the library,
scans it once and asks its lists twenty questions; when all have, each asks the kernel what its mapped files occupy.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

_FIELDS = ("Rss", "Pss", "Private_Clean", "Private_Dirty")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _open_and_wait(options.library)
        return
    command = [sys.executable, "-m", "benchmarks.search.opening", str(options.library), "--child"]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(options.processes)
    ]
    # One after the other starts to work, so that none waits for the processor of another while it opens.
    ready = [_ask(child) for child in children]
    print("| process | clips | open s | mapped MB | its share MB | of it in no other process MB | anonymous MB |")
    print("|---|---|---|---|---|---|---|")
    # All report before the first one ends, whose pages would then count as the others' own.
    memories = [_ask(child) for child in children]
    for number, (opened, memory) in enumerate(zip(ready, memories, strict=True), 1):
        print(
            f"| {number} | {opened['clips']:,} | {opened['seconds']:.2f} | {memory['Rss']:,.0f} | {memory['Pss']:,.0f} "
            f"| {memory['Private_Clean'] + memory['Private_Dirty']:,.0f} | {memory['anonymous']:,.0f} |"
        )
    for child in children:
        child.communicate()


def _ask(child: subprocess.Popen[str]) -> dict[str, float]:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write("\n")
    child.stdin.flush()
    return json.loads(child.stdout.readline())


def _open_and_wait(path: Path) -> None:
    import faiss  # noqa: F401  what every process loads is not part of what opening takes
    import numpy as np
    import torch  # noqa: F401

    from indexer.search.top_k import search
    from indexer.store.library import Library

    sys.stdin.readline()
    anonymous, began = _anonymous(), time.perf_counter()
    with Library.open(path) as library:
        clips = library.current().clips
        seconds = time.perf_counter() - began
        rng = np.random.default_rng(0)
        for i in range(21):
            # Near a clip, as questions are.
            item = clips.vectors([int(rng.choice(clips.ids))])
            search(clips, clips.levels, item, 10, {}, exact=i == 0)
        print(json.dumps({"seconds": seconds, "clips": len(clips)}), flush=True)
        sys.stdin.readline()
        print(json.dumps({**_mapped(path.resolve()), "anonymous": _anonymous() - anonymous}), flush=True)
        sys.stdin.readline()


def _mapped(folder: Path) -> dict[str, float]:
    """MB of the files below `folder` that this process has mapped."""
    sums = dict.fromkeys(_FIELDS, 0.0)
    own = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, *values = line.split()
        if "-" in name and not name.endswith(":"):
            own = line.rstrip().removesuffix(" (deleted)").split(maxsplit=5)[-1].startswith(str(folder))
        elif own and name.removesuffix(":") in sums:
            sums[name.removesuffix(":")] += int(values[0]) / 1e3
    return sums


def _anonymous() -> float:
    """MB that belong to this process alone and to no file."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("Anonymous:"))


if __name__ == "__main__":
    main()
