"""Servers as processes of their own, for the benchmarks that ask them over loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START = 180
"""Seconds that a server has to start."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_service(library: Path) -> Iterator[str]:
    """`quartet serve` over a library, at the address that is given."""
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--library", str(library), "--port", str(port)]
    with running_server(command, f"http://127.0.0.1:{port}/readyz", {"QUARTET_LOG_LEVEL": "warning"}):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running_server(command: list[str], ready: str, environment: dict[str, str]) -> Iterator[None]:
    """A server process, from when it says that it is ready."""
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _START
        while not _answers(ready):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} did not start.")
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
