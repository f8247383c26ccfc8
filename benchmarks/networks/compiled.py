"""Whether torch.compile would help queries on a CPU: `python -m benchmarks.networks.compiled` (docs/zero-shot.md).

The networks that read texts, in published sizes with random weights, as they are and compiled with inductor for sizes
that change, and MiniLM as Quartet computes it (`model/cpu_backend.py`). It needs a C++ compiler.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.encoding import QUERY, initials
from benchmarks.gpu.rows import p50
from benchmarks.networks import made_models
from model.cpu_backend import CpuNetwork
from model.two_tower.towers import TwoTower

_CPU = torch.device("cpu")


def _compare(name: str, network: Callable[[Any], Any], inputs: Any, own: Callable[[Any], Any] | None = None) -> None:
    compiled = torch.compile(network, dynamic=True)
    began = time.perf_counter()
    compiled(inputs)
    first = time.perf_counter() - began
    ways = [network, compiled] if own is None else [network, compiled, own]
    times = [f"{1000 * p50([lambda way=way: way(inputs)] * 15, _CPU):.1f}" for way in ways]
    print(f"| {name} | {' | '.join([*times, ''][:3])} | {first:.0f} |", flush=True)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    torch.set_num_threads(parser.parse_args().threads)
    print("| p50 ms | PyTorch | compiled | Quartet | first call, s |\n|---|---|---|---|---|")
    bert = made_models.minilm()
    fast = CpuNetwork(lambda: made_models.Pieces(bert), "MiniLM")
    for n in (1, 32):
        tokens = made_models.minilm_tokens(n)
        own = lambda t: fast(t["input_ids"], t["attention_mask"])  # noqa: E731
        _compare(f"MiniLM, {n} at once", lambda t: bert(**t).last_hidden_state, tokens, own)
    tower = made_models.levels()
    for n in (1, 32):
        _compare(f"MCSAN's text tower, {n} at once", tower, made_models.captions(n))
    with tempfile.TemporaryDirectory() as folder:
        made_models.write_clip(Path(folder))
        clip = TwoTower(Path(folder))
    _compare("CLIP ViT-B/32, the 5 texts of a query", clip.vectors, clip.tokens([initials(text) for text in QUERY]))


if __name__ == "__main__":
    main()
