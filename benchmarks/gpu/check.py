"""Encoding and exact search on this machine's device, as one table: `python -m benchmarks.gpu.check`, `make gpu-check`.

Frames per second from decoded pictures to vectors, the time of queries in the networks that read texts, with and
without CUDA graphs, and how far the device is from the CPU. Networks have the published sizes and random weights, on
which speed does not depend. Exact scans of 100,000 and 1,000,000 made clips stand versus what reading them takes at
least. It needs torch, torchvision and transformers (`--checks searching`: torch alone), no FAISS and no spaCy, and
runs on a CPU too, with fewer repetitions and without graphs.

`CHECKS` are the parts of the table, in order. A part is a function from a device to rows. One that fails is a row,
and the status at the end; the others are measured all the same.
"""

from __future__ import annotations

import argparse
import logging
import time
import traceback
from collections.abc import Callable, Iterator

import torch

from benchmarks.gpu.rows import Row
from benchmarks.gpu.search import searching


def encoding(device: torch.device) -> Iterator[Row]:
    from benchmarks.gpu.encoding import encoding as measured

    yield from measured(device)


CHECKS: dict[str, Callable[[torch.device], Iterator[Row]]] = {"encoding": encoding, "searching": searching}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--checks", nargs="+", choices=list(CHECKS), default=list(CHECKS))
    options = parser.parse_args()
    if torch.device(options.device).type == "cuda" and not torch.cuda.is_available():
        parser.error("No GPU is visible to PyTorch.")
    device = torch.empty(0, device=options.device).device  # with its number, which PyTorch asks for here and there
    logging.basicConfig(format="%(message)s")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{name}; torch {torch.__version__}; random weights, seed 0\n\n| | | |\n|---|---|---|", flush=True)
    began, failed = time.monotonic(), 0
    for check in options.checks:
        try:
            for row in CHECKS[check](device):
                print(f"| {row.what} | {row.value} | {row.note} |", flush=True)
        # A GPU may be there once: whatever one part stumbles over, the rest of the table is wanted.
        except Exception as error:
            failed += 1
            traceback.print_exc()
            print(f"| {check} | FAILED | {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''} |")
    print(f"\nMeasured in {time.monotonic() - began:.0f} s.")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
