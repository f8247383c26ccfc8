"""Random bytes as uploads, and queries of every plane of Unicode: `python -m benchmarks.fuzz` (docs/service.md).

They go to a running application over a tiny library. Every upload has to be refused with its reason, every query to
be answered; anything else ends the run and shows what it was.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from fastapi.testclient import TestClient

from indexer.library import Library
from model.fake import FakeEncoder
from service.app import create_app
from service.settings import Settings

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
    parser.add_argument("--count", type=int, default=10_000, help="uploads, and queries")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Library.create(Path(folder) / "library", FakeEncoder().spec).close()
        with TestClient(create_app(Settings(library=Path(folder) / "library"), FakeEncoder())) as client:
            _run("uploads", _uploads(client, options.seed, options.count))
            _run("queries", _queries(client, options.seed, options.count))


def random_uploads(seed: int, count: int) -> Iterator[bytes]:
    """0 to 4,000 random bytes, most of them behind the beginning of a container."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        yield _MAGIC[i % len(_MAGIC)] + rng.bytes(int(rng.integers(0, 4000)))


def random_queries(seed: int, count: int) -> Iterator[str]:
    """1 to 1,000 characters of one plane of Unicode each, all planes in turn, without surrogates."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        codes = rng.integers(0, 1 << 16, int(rng.integers(1, 1000))) + ((i % 17) << 16)
        yield "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000) or "a"


def _uploads(client: TestClient, seed: int, count: int) -> Iterator[str]:
    for content in random_uploads(seed, count):
        answer = client.post("/v1/search/captions", files={"file": ("a.mp4", content)})
        if answer.status_code != 422 or "reason" not in answer.json():
            raise SystemExit(f"{content!r}: {answer.status_code} {answer.text}")
        yield answer.json()["reason"]


def _queries(client: TestClient, seed: int, count: int) -> Iterator[str]:
    for text in random_queries(seed, count):
        answer = client.post("/v1/search/clips", json={"query": text})
        if answer.status_code != 200 and text.strip():
            raise SystemExit(f"{text!r}: {answer.status_code} {answer.text}")
        yield str(answer.status_code)


def _run(what: str, outcomes: Iterator[str]) -> None:
    began = time.perf_counter()
    counted = Counter(outcomes)
    print(
        f"{sum(counted.values())} {what} in {time.perf_counter() - began:.0f} s: {dict(counted.most_common())}",
        flush=True,
    )


if __name__ == "__main__":
    main()
