"""Random bytes as uploads, and queries of every character of Unicode (docs/service.md).

    python -m benchmarks.service.fuzz --library quartet-demo/library

They go over loopback to a running service with the model of the library. Every upload has to be refused with its
reason, every query to be answered; anything else ends the run and shows what it was.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import httpx2
import numpy as np

from benchmarks.machine import machine
from benchmarks.service.server_process import running_service

T = TypeVar("T")

PLANES = 17
"""Of Unicode, each of 65,536 code points."""

_MAGIC = (
    b"",
    b"\0\0\0\x20ftypisom",
    b"RIFF\xff\0\0\0AVI ",
    b"\x1aE\xdf\xa3",
    b"OggS\0\2",
    b"FLV\1\5\0\0\0\x09",
    b"G",
    b"\0\0\1\xba",
)
"""Beginnings of containers, so that not only the first look at the bytes is tried."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, required=True, help="the library to search")
    parser.add_argument("--parts", nargs="+", choices=("queries", "uploads"), default=("queries", "uploads"))
    parser.add_argument("--count", type=int, default=10_000, help="of each")
    parser.add_argument("--clients", type=int, default=4, help="how many send at the same time")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{machine()}, seed {options.seed}", flush=True)
    with running_service(options.library) as url, httpx2.Client(base_url=url, timeout=3600) as client:
        if "queries" in options.parts:
            queries = list(random_queries(options.seed, options.count))
            print(f"{len(set(''.join(queries)))} different characters in the queries", flush=True)
            _run("queries", _asker(client), iter(queries), options.clients)
        if "uploads" in options.parts:
            _run("uploads", _sender(client), random_uploads(options.seed, options.count), options.clients)
        client.get("/readyz").raise_for_status()


def random_uploads(seed: int, count: int) -> Iterator[bytes]:
    """0 to 4,000 random bytes, most of them behind the beginning of a container."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        yield _MAGIC[i % len(_MAGIC)] + rng.bytes(int(rng.integers(0, 4000)))


def random_queries(seed: int, count: int) -> Iterator[str]:
    """1 to 1,000 characters of one plane of Unicode each, all planes in turn.

    Every plane is gone through in a random order, and again when it is at its end, so a few thousand queries have
    every code point that a text can have: all but surrogates.
    """
    rng = np.random.default_rng(seed)
    planes = []
    for plane in range(PLANES):
        codes = np.arange(plane << 16, (plane + 1) << 16)
        codes = rng.permutation(codes[(codes < 0xD800) | (codes >= 0xE000)])
        planes.append(itertools.cycle(codes.tolist()))
    for i in range(count):
        codes = itertools.islice(planes[i % PLANES], int(rng.integers(1, 1001)))
        yield "".join(map(chr, codes))


def _sender(client: httpx2.Client) -> Callable[[bytes], str]:
    def send(content: bytes) -> str:
        while True:
            answer = client.post("/v1/search/captions/upload", files={"file": ("a.mp4", content)})
            if answer.status_code != 429:
                break
            # On a slow machine more clients send than the service decodes for (QUARTET_MAX_DECODINGS).
            time.sleep(float(answer.headers["Retry-After"]))
        if answer.status_code != 422 or "reason" not in answer.json():
            raise SystemExit(f"{content!r}: {answer.status_code} {answer.text}")
        return str(answer.json()["reason"])

    return send


def _asker(client: httpx2.Client) -> Callable[[str], str]:
    def ask(text: str) -> str:
        answer = client.post("/v1/search/clips", json={"query": text})
        # Of nothing but blanks there is nothing to search for.
        if answer.status_code != (200 if text.strip() else 422):
            raise SystemExit(f"{text!r}: {answer.status_code} {answer.text}")
        return str(answer.status_code)

    return ask


def _run(what: str, send: Callable[[T], str], items: Iterator[T], clients: int) -> None:
    began = time.perf_counter()
    outcomes: Counter[str] = Counter()
    with ThreadPoolExecutor(clients) as pool:
        while chunk := list(itertools.islice(items, 100)):
            outcomes.update(pool.map(send, chunk))
            seconds = time.perf_counter() - began
            print(f"{outcomes.total()} {what} in {seconds:.0f} s: {dict(outcomes.most_common())}", flush=True)


if __name__ == "__main__":
    main()
