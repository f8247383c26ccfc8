"""The service under load: `python -m benchmarks.service` (docs/service.md).

In one run, on the same sentences, one at a time and 32 at a time: MiniLM as sentence-transformers runs it, and the
whole encoder (parse, MiniLM, towers) called in a loop. Then the service over loopback, text to clip; and, where it is
given, infinity-emb, which embeds the same sentences with the same MiniLM and does nothing else. No sentence is asked
twice, so the service's cache of encoded sentences is of no use.

    python -m benchmarks.service --library quartet-demo/library --infinity /path/to/venv/bin/python
    python -m benchmarks.service --made 100000 --parts encoder service open
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from benchmarks.machine import machine
from benchmarks.service.http_load import Load, closed, opened
from benchmarks.service.server_process import free_port, running_server, running_service
from demo.captions import captions
from demo.world import sample_split
from model.language.sentence_encoder import minilm_folder
from model.registry import load_encoder

PARTS = ("encoder", "service", "open", "infinity")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, help="a library that the model demo has built")
    parser.add_argument("--made", type=int, help="make a library of so many clips instead")
    parser.add_argument("--work", type=Path, help="keep the made library here; by default a temporary folder")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:3])
    parser.add_argument("--infinity", type=Path, help="Python of an environment that has infinity-emb[torch,server]")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=8.0, help="measured time of each load")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    texts = _sentences(options.seed)
    print(f"{machine()}, seed {options.seed}", flush=True)
    if "encoder" in options.parts:
        _called_in_a_loop(texts, options.seconds)
    with tempfile.TemporaryDirectory() as temporary:
        if {"service", "open"} & set(options.parts):
            library = options.library or _made(options.made, options.work or Path(temporary), options.seed)
            _service(library, texts, options)
    if options.infinity:
        _infinity(options.infinity, texts, options)


def _sentences(seed: int) -> Iterator[str]:
    """Different captions of the demo world, for ever (the first repetition comes after tens of thousands)."""
    specs = sample_split("train", 12_000, seed)
    distinct = list(dict.fromkeys(text for spec in specs for text in captions(spec)))
    np.random.default_rng(seed).shuffle(distinct)
    return itertools.cycle(distinct)


def _called_in_a_loop(texts: Iterator[str], seconds: float) -> None:
    minilm = SentenceTransformer(str(minilm_folder()), device="cpu", local_files_only=True)
    alone = {"MiniLM alone": minilm.encode, "the encoder": load_encoder("demo", "cpu").encode_texts}
    for (name, encode), size in itertools.product(alone.items(), (1, 32)):
        for _ in range(3):
            encode(list(itertools.islice(texts, size)))
        latencies, began = [], time.perf_counter()
        while time.perf_counter() < began + seconds:
            asked = time.perf_counter()
            encode(list(itertools.islice(texts, size)))
            latencies.append(time.perf_counter() - asked)
        rate = size * len(latencies) / (time.perf_counter() - began)
        print(f"{name}, batch {size:2}   {rate:6.1f}/s   p50 {1000 * np.median(latencies):6.1f} ms", flush=True)


def _service(library: Path, texts: Iterator[str], options: argparse.Namespace) -> None:
    with running_service(library) as url:
        port = int(url.rpartition(":")[2])
        asked = ("/v1/search/clips", lambda text: {"query": text})
        loads = {}
        if "service" in options.parts:
            for clients in options.clients:
                loads[clients] = closed(port, *asked, texts, clients, options.seconds)
                _print("service", f"{clients:2} clients", loads[clients])
        if "open" in options.parts:
            most = loads.get(32) or closed(port, *asked, texts, 32, options.seconds)
            rate = 0.7 * most.rate
            load = opened(port, *asked, texts, rate, options.seconds, options.seed)
            _print("service", f"70% ({rate:.0f}/s)", load)


def _infinity(python: Path, texts: Iterator[str], options: argparse.Namespace) -> None:
    port = free_port()
    command = [str(python.with_name("infinity_emb")), "v2", "--model-id", str(minilm_folder()), "--port", str(port)]
    command += ["--served-model-name", "minilm", "--engine", "torch", "--device", "cpu", "--no-bettertransformer"]
    command += ["--host", "127.0.0.1"]
    quiet = {"DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0", "HF_HUB_OFFLINE": "1"}
    with running_server(command, f"http://127.0.0.1:{port}/health", quiet):
        for clients in options.clients:
            load = closed(
                port,
                "/embeddings",
                lambda text: {"model": "minilm", "input": [text]},
                texts,
                clients,
                options.seconds,
            )
            _print("infinity", f"{clients:2} clients", load)


def _print(what: str, how: str, load: Load) -> None:
    print(f"{what:8} {how:12}  {load.describe()}", flush=True)


def _made(count: int, work: Path, seed: int) -> Path:
    """A library of `count` clips of made vectors, in the spaces of the model demo. Its files do not exist."""
    from benchmarks.service.made_library import make_library

    return make_library(work / f"library-{count}-{seed}", count, seed)


if __name__ == "__main__":
    main()
