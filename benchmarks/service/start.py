"""What a service costs before its first answer: `python -m benchmarks.service.start LIBRARY` (docs/performance.md).

Starts `quartet serve`, waits until it is ready, asks one question, and prints of each of its processes the processor
time and the memory. What several of them share counts in equal parts, so the column adds up; what other programs map
of the same files does not make it less. Linux only.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.machine import machine
from quartet import Client, QuartetError

QUESTION = "a cat carries a fish"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path)
    parser.add_argument("--video", type=Path, help="ask with this video too, four times, so that each process sees it")
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "service", "serve", "--library", str(options.library), "--port", str(port)]
    began = time.monotonic()
    service = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        with Client(f"http://127.0.0.1:{port}") as client:
            ready = _wait(client, service) - began
            client.search(QUESTION)
            answered = time.monotonic() - began
            for _ in range(4 if options.video else 0):
                client.describe(options.video)
        print(f"{machine()}; load {os.getloadavg()[0]:.1f}; ready in {ready:.1f} s, first answer at {answered:.1f} s")
        print("| process | processor time s | memory MB | of its own (dirty) MB |\n|---|---|---|---|")
        family = list(_family(service.pid))
        files = _shares_of_files(family)
        rows = [(_name(pid), *_cost(pid, files[pid])) for pid in family]
        for name, *cost in rows:
            print(f"| {name} | " + " | ".join(f"{value:,.1f}" for value in cost) + " |")
        print(
            "| all | "
            + " | ".join(f"{sum(column):,.1f}" for column in zip(*(row[1:] for row in rows), strict=True))
            + " |"
        )
    finally:
        service.terminate()
        service.wait()


def _wait(client: Client, service: subprocess.Popen[bytes]) -> float:
    while True:
        if service.poll() is not None:
            raise SystemExit("The service has ended. `quartet serve` says why.")
        try:
            client.ready()
            return time.monotonic()
        except QuartetError:
            time.sleep(0.05)


def _family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    for child in Path(f"/proc/{pid}/task").glob("*/children"):
        for one in child.read_text().split():
            yield from _family(int(one))


def _name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    for part in ("resource_tracker", "forkserver", "spawn_main", "service"):
        if part in words:
            return f"{part} {pid}"
    return str(pid)


def _shares_of_files(family: Sequence[int]) -> dict[int, float]:
    """KB of mapped files in memory by process: as much of a file as the one that has most of it, in equal parts."""
    mapped: dict[str, dict[int, int]] = {}
    for pid in family:
        name = ""
        for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
            first, *rest = line.split()
            if not first.endswith(":"):
                name = rest[4] if len(rest) > 4 and rest[4].startswith("/") else ""
            elif name and first in ("Rss:", "Anonymous:"):
                own = mapped.setdefault(name, dict.fromkeys(family, 0))
                own[pid] += int(rest[0]) * (1 if first == "Rss:" else -1)
    shares = dict.fromkeys(family, 0.0)
    for own in mapped.values():
        users = [pid for pid, size in own.items() if size]
        for pid in users:
            shares[pid] += max(own.values()) / len(users)
    return shares


def _cost(pid: int, files: float) -> tuple[float, ...]:
    """Seconds of a processor, MB of its share of memory, MB that it alone has written.

    files  KB of its share of mapped files
    """
    used = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    seconds = (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")
    memory = dict(line.split()[:2] for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    shared = files + int(memory["Pss_Anon:"]) + int(memory["Pss_Shmem:"])
    return seconds, shared / 1024, int(memory["Private_Dirty:"]) / 1024


if __name__ == "__main__":
    main()
