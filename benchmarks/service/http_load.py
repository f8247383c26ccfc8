"""A load of HTTP requests over loopback that costs little itself: one process, raw sockets, no HTTP library.

Closed loop: each of n clients asks again as soon as it has its answer. Open loop: requests come at random moments
at a given rate whether or not the others are answered, and a latency counts from that moment (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Load:
    """What came of it: seconds per request, of all that were answered in the measured time, and refusals by status."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def ms(self, percentile: float) -> float:
        return 1000 * float(np.percentile(self.latencies, percentile)) if self.latencies else float("nan")

    def describe(self) -> str:
        refused = f", refused {self.refused}" if self.refused else ""
        p50, p95, p99 = (self.ms(p) for p in (50, 95, 99))
        return f"{self.rate:6.1f}/s   p50 {p50:6.1f}   p95 {p95:6.1f}   p99 {p99:6.1f} ms{refused}"


Body = Callable[[str], dict[str, object]]


def closed(port: int, path: str, body: Body, texts: Iterator[str], clients: int, seconds: float) -> Load:
    """`clients` that never pause, for `seconds` after a second of warming up."""
    return asyncio.run(_closed(port, path, body, texts, clients, seconds))


def opened(port: int, path: str, body: Body, texts: Iterator[str], rate: float, seconds: float, seed: int) -> Load:
    """Poisson arrivals at `rate` a second, on as many connections as it takes."""
    return asyncio.run(_opened(port, path, body, texts, rate, seconds, seed))


async def _closed(port: int, path: str, body: Body, texts: Iterator[str], clients: int, seconds: float) -> Load:
    load = Load(seconds)
    begin = time.perf_counter() + 1
    end = begin + seconds

    async def client() -> None:
        connection = await _Connection.open(port)
        while (asked := time.perf_counter()) < end:
            status = await connection.post(path, body(next(texts)))
            done = time.perf_counter()
            if begin <= done <= end:
                _count(load, status, done - asked)
        connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return load


async def _opened(
    port: int, path: str, body: Body, texts: Iterator[str], rate: float, seconds: float, seed: int
) -> Load:
    load = Load(seconds)
    idle: list[_Connection] = []
    rng = np.random.default_rng(seed)
    moments = np.cumsum(rng.exponential(1 / rate, int(rate * seconds)))
    began = time.perf_counter() + 0.1

    async def request(due: float) -> None:
        connection = idle.pop() if idle else await _Connection.open(port)
        status = await connection.post(path, body(next(texts)))
        _count(load, status, time.perf_counter() - due)
        idle.append(connection)

    tasks = []
    for moment in moments:
        due = began + float(moment)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(request(due)))
    await asyncio.gather(*tasks)
    for connection in idle:
        connection.close()
    return load


def _count(load: Load, status: int, seconds: float) -> None:
    if status == 200:
        load.latencies.append(seconds)
    else:
        load.refused[status] = load.refused.get(status, 0) + 1


class _Connection:
    """One kept-alive connection that asks one thing at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self._reader, self._writer, self._port = reader, writer, port

    @classmethod
    async def open(cls, port: int) -> _Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port), port)

    def close(self) -> None:
        self._writer.close()

    async def post(self, path: str, body: dict[str, object]) -> int:
        content = json.dumps(body).encode()
        self._writer.write(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        await self._reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
        return int(head[9:12])
