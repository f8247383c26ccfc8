"""What a power cut leaves of a library, at every moment of its life.

    python -m benchmarks.storage.power_cuts --states 1000

A run that makes a library, indexes, indexes again, adds captions, tags, removes, tunes and changes the model is
recorded under strace: every write, rename, link, truncation, removal and flush below the library's folder. Before each
flush the power is cut: what had been flushed is there, and of the rest what POSIX allows. That is nothing, everything,
all names without their content, or any part of it, writes torn at sectors and in any order. Each such library must
open, have every video once that had been reported done, be healed by `repair`, and end, indexed again, with the vectors
of an undisturbed run.

Needs `strace` and the right to trace. Videos are stand-ins (`benchmarks.storage.stand_in_videos`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.storage.power_cuts.life import live
from benchmarks.storage.power_cuts.trials import run
from benchmarks.storage.stand_in_videos import decode_stand_ins


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--states", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=20220914)
    parser.add_argument("--live", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.live is not None:
        decode_stand_ins()
        with (options.live / "told").open("ab", buffering=0) as tell:
            live(options.live / "library", options.live / "media", tell.fileno())
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(Path(folder), options.states, options.seed), indent=2))


if __name__ == "__main__":
    main()
