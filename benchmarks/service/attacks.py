"""What other clients see while a service is attacked or broken: a table of docs/service.md.

    sudo .venv/bin/python -m benchmarks.service.attacks --library quartet-demo/library

Each fault meets a service of its own, over loopback, with a copy of the library, its own temporary folder (a tmpfs of
32 MB, which needs root) and a client that asks for another sentence ten times a second. Printed is a row of a table for
each: what the attacker got, what that client got, and the memory of the service before and after.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from benchmarks.machine import machine

MB = 2**20
TMPFS = 32 * MB
TIMEOUTS = {"QUARTET_RECEIVE_TIMEOUT": "5", "QUARTET_ENCODE_TIMEOUT": "5", "QUARTET_LOG_LEVEL": "error"}
"""Seconds until a silent client and a silent model are given up; by default 20 and 30, for which nobody need wait."""
_WORDS = ("red", "blue", "small", "cat", "dog", "ball", "city", "sea", "jumps", "sleeps", "carries", "eats")


@dataclass
class Service:
    """A running service, and where it has what."""

    port: int
    process: subprocess.Popen[bytes]
    library: Path
    temporary: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30, source_address=(source, 0))

    def resident(self) -> int:
        """Bytes of memory of the main process, which has the connections."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def encoders(self) -> list[int]:
        """Processes of the model: the server that forks them is a child of the service."""
        listed = subprocess.check_output(["ps", "-e", "-o", "pid=,ppid=,rss="], text=True)
        rows = [[int(number) for number in line.split()] for line in listed.splitlines()]
        servers = {pid for pid, parent, _ in rows if parent == self.process.pid}
        return [pid for pid, parent, kilobytes in rows if parent in servers and kilobytes > 100_000]


@dataclass
class Client:
    """Asks for another sentence every tenth of a second, as long as it runs."""

    url: str
    seed: int
    seconds: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    warm: threading.Event = field(default_factory=threading.Event)

    def run(self, ended: threading.Event) -> None:
        chosen = random.Random(self.seed)
        with httpx2.Client(base_url=self.url, timeout=120) as http:
            # The first searches after a start are slower.
            for _ in range(20):
                http.post("/v1/search/clips", json={"query": " ".join(chosen.choices(_WORDS, k=5))})
            self.warm.set()
            while not ended.wait(0.1):
                began = time.perf_counter()
                try:
                    answer = http.post("/v1/search/clips", json={"query": " ".join(chosen.choices(_WORDS, k=5))})
                    self.outcomes[str(answer.status_code)] += 1
                except httpx2.HTTPError as error:
                    self.outcomes[type(error).__name__] += 1
                self.seconds.append(time.perf_counter() - began)

    def row(self) -> str:
        outcomes = ", ".join(f"{count} x {outcome}" for outcome, count in sorted(self.outcomes.items()))
        ordered = sorted(self.seconds)
        return f"{outcomes}; median {1000 * ordered[len(ordered) // 2]:.0f} ms, longest {ordered[-1]:.1f} s"


def nothing(service: Service) -> str:
    time.sleep(10)
    return "10 s of rest"


def headers(service: Service) -> str:
    """Four connections that would send 100 MB of header lines each."""
    outcomes: Counter[str] = Counter()

    def attack() -> None:
        with service.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            sent = 0
            with suppress(OSError):
                while sent < 100 * MB:
                    connection.sendall(b"X-Header: " + b"a" * 8000 + b"\r\n")
                    sent += 8012
            answer = b""
            with suppress(OSError):
                answer = connection.recv(1000)
            outcomes[f"{answer[9:12].decode() or 'closed'} after less than {-(-sent // MB)} MB"] += 1

    _together(attack, 4)
    return _counted(outcomes)


def slow_loris(service: Service) -> str:
    """250 connections that send a header line a byte a second."""
    connections = [service.connect() for _ in range(250)]
    began = time.perf_counter()
    left, closed = list(connections), []
    for connection in connections:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        connection.settimeout(0)
    while left and time.perf_counter() - began < 60:
        time.sleep(1)
        for connection in list(left):
            try:
                connection.send(b"X")
                if connection.recv(100) == b"":
                    raise ConnectionResetError
            except BlockingIOError:
                continue
            except OSError:
                left.remove(connection)
                closed.append(time.perf_counter() - began)
    _close(connections)
    last = max(closed, default=0.0)
    return f"{len(closed)} of 250 closed within {last:.0f} s of their first byte"


def many_connections(service: Service) -> str:
    """10,000 connections, first of one address, then of 50, that ask for /healthz and stay open."""
    told = []
    for addresses in (1, 50):
        outcomes: Counter[str] = Counter()
        connections = []
        for number in range(10_000):
            source = f"127.0.0.{2 + number % addresses}"
            try:
                connection = service.connect(source)
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                outcomes[connection.recv(1000)[9:12].decode() or "closed"] += 1
                connections.append(connection)
            except OSError as error:
                outcomes[type(error).__name__] += 1
        told.append(f"of {addresses} address{'es' if addresses > 1 else ''}: {_counted(outcomes)}")
        _close(connections)
        time.sleep(1)
    return "; ".join(told)


def stopped(service: Service) -> str:
    """SIGSTOP of every process of the model."""
    before = _signal_all(service, signal.SIGSTOP)
    return f"{len(before)} stopped; {_replaced(service, before)}"


def killed(service: Service) -> str:
    """SIGKILL of every process of the model."""
    before = _signal_all(service, signal.SIGKILL)
    return f"{len(before)} killed; {_replaced(service, before)}"


def full_disk(service: Service) -> str:
    """An upload while the disk for temporary files is full, and one after it has room again."""
    filler = service.temporary / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(64 * 1024))
    time.sleep(3)
    before = _upload(service)
    filler.unlink()
    return f"upload: {before} while it is full, {_upload(service)} after"


def removed_library(service: Service) -> str:
    """The library's folder is gone, and comes back."""
    away = service.library.with_name("away")
    picture = "/v1/clips/1/thumbnail"
    service.library.rename(away)
    time.sleep(3)
    with httpx2.Client(base_url=service.url, timeout=60) as http:
        lost = f"picture {http.get(picture).status_code}, /readyz {http.get('/readyz').status_code}"
        warned = "with" if http.get("/readyz").json().get("warnings") else "without"
        away.rename(service.library)
        time.sleep(3)
        back = f"picture {http.get(picture).status_code}, warnings {http.get('/readyz').json().get('warnings')}"
    return f"gone: {lost} {warned} a warning; back: {back}"


FAULTS: dict[str, Callable[[Service], str]] = {
    "no fault": nothing,
    "100 MB of headers, 4 times": headers,
    "slow-loris": slow_loris,
    "10,000 connections": many_connections,
    "SIGSTOP of the model processes": stopped,
    "SIGKILL of the model processes": killed,
    "full disk": full_disk,
    "removed library": removed_library,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, required=True, help="the library that is copied and served")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{machine()}, seed {options.seed}\n", flush=True)
    print("| fault | the attacker, or the fault | a client that searches meanwhile | memory before, after |")
    print("|---|---|---|---|", flush=True)
    for name in options.faults:
        with serving(options.library) as service:
            client, ended = Client(service.url, options.seed), threading.Event()
            _upload(service)
            before = service.resident()
            thread = threading.Thread(target=client.run, args=(ended,))
            thread.start()
            try:
                client.warm.wait()
                outcome = FAULTS[name](service)
                # What the client sees when it is over belongs to it too.
                time.sleep(2)
            finally:
                ended.set()
                thread.join()
            memory = f"{before / MB:.0f}, {service.resident() / MB:.0f} MB"
            print(f"| {name} | {outcome} | {client.row()} | {memory} |", flush=True)


@contextmanager
def serving(library: Path) -> Iterator[Service]:
    """`quartet serve` over a copy of a library, ready."""
    with tempfile.TemporaryDirectory(prefix="quartet-attacks-") as folder:
        copied, temporary = Path(folder) / "library", Path(folder) / "temporary"
        shutil.copytree(library, copied)
        temporary.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS}", "tmpfs", str(temporary)], check=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        command = [sys.executable, "-m", "service", "serve", "--library", str(copied), "--port", str(port)]
        environment = {**os.environ, **TIMEOUTS, "TMPDIR": str(temporary)}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        service = Service(port, process, copied, temporary)
        try:
            _wait_until_ready(service)
            yield service
        finally:
            process.terminate()
            process.wait(60)
            subprocess.run(["umount", str(temporary)], check=True)


def _wait_until_ready(service: Service) -> None:
    with httpx2.Client(base_url=service.url) as http:
        while service.process.poll() is None:
            with suppress(httpx2.HTTPError):
                if http.get("/readyz").status_code == 200:
                    return
            time.sleep(0.2)
    raise SystemExit("The service did not start.")


def _signal_all(service: Service, number: signal.Signals) -> list[int]:
    before = service.encoders()
    for pid in before:
        os.kill(pid, number)
    return before


def _replaced(service: Service, before: list[int]) -> str:
    """How soon all of `before` have ended and as many others run."""
    began = time.perf_counter()
    with httpx2.Client(base_url=service.url, timeout=60) as http:
        while time.perf_counter() - began < 180:
            ready = http.get("/readyz")
            running = ready.json()["encoders"] if ready.status_code == 200 else 0
            if running == len(before) and not any(map(_alive, before)):
                return f"replaced within {time.perf_counter() - began:.0f} s"
            time.sleep(0.5)
    return "not replaced within 180 s"


def _alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def _upload(service: Service) -> str:
    """The status of an upload of 4 MB, which is not a video."""
    content = b"\0\0\0\x20ftypisom" + bytes(4 * MB)
    with httpx2.Client(base_url=service.url, timeout=60) as http:
        return str(http.post("/v1/search/captions/upload", files={"file": ("a.mp4", content)}).status_code)


def _together(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _close(connections: list[socket.socket]) -> None:
    for connection in connections:
        connection.close()


def _counted(outcomes: Counter[str]) -> str:
    return ", ".join(f"{count} x {outcome}" for outcome, count in outcomes.most_common())


if __name__ == "__main__":
    main()
