"""A real Milvus for tests: the server of the package `milvus`, which `dev` does not install (CONTRIBUTING.md)."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from urllib.request import urlopen

import pytest

from indexer.milvus.address import connect, parse_address

# In a process of its own: the package leaves sockets open.
_UNPACK = """
import json, sys
from milvus import MilvusServer, MilvusServerConfig, _initialize_data_files
server = MilvusServer(MilvusServerConfig(data_dir=sys.argv[1]))
server.config.resolve()
_initialize_data_files(sys.argv[1])
port, _ = server.config.resolve_port(9091)
print(json.dumps([server.get_milvus_executable_path(), server.config.get("proxy_port"), port]))
"""

_STARTS = 300.0
"""Seconds that it may take to start."""


class MilvusServer:
    """A server whose data is in `folder`. It can be killed and started again, at the same address.

    One at a time on a machine: its etcd has a port that cannot be chosen.
    """

    def __init__(self, folder: Path) -> None:
        unpacked = subprocess.run([sys.executable, "-c", _UNPACK, str(folder)], check=True, capture_output=True)
        self._program, self._port, self._health = json.loads(unpacked.stdout)
        self._folder = folder
        self._names = itertools.count()
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "DEPLOY_MODE": "STANDALONE", "METRICS_PORT": str(self._health)}
        environment |= {"LD_LIBRARY_PATH": str(Path(self._program).parent), "MILVUS_RUN_DIR": f"{self._folder}/run"}
        with (self._folder / "output").open("ab") as output:
            command = [self._program, "run", "standalone"]
            self._process = subprocess.Popen(
                command, cwd=self._folder, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
        end = time.monotonic() + _STARTS
        while not self._is_well():
            assert self.alive and time.monotonic() < end, (self._folder / "output").read_text()[-2000:]
            Event().wait(0.1)

    def _is_well(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self._health}/healthz", timeout=_STARTS) as answer:
                return b"OK" in answer.read()
        except OSError:
            return False

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def address(self, name: str) -> str:
        return f"milvus://127.0.0.1:{self._port}/{name}"

    @contextmanager
    def new_address(self) -> Iterator[str]:
        """An address that no other has; what is put there is dropped in the end."""
        name = f"library_{next(self._names)}"
        yield self.address(name)
        client = connect(parse_address(self.address(name)))
        if name in client.list_aliases()["aliases"]:
            client.drop_alias(name)
        for collection in client.list_collections():
            if collection.startswith(f"{name}_"):
                client.drop_collection(collection)
        client.close()


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """A server for all tests that want one; it takes half a minute to start."""
    pytest.importorskip("milvus", reason="a server comes with the package milvus (CONTRIBUTING.md)")
    server = MilvusServer(tmp_path_factory.mktemp("milvus_server"))
    yield server
    server.close()


@pytest.fixture(params=["lite", "server"])
def milvus_address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty Milvus: of a file by Milvus Lite, and of the server."""
    if request.param == "server":
        server: MilvusServer = request.getfixturevalue("milvus_server")
        with server.new_address() as address:
            yield address
        return
    pytest.importorskip("milvus_lite")
    from milvus_lite.server_manager import server_manager_instance

    file = tmp_path / "milvus.db"
    yield f"milvus://{file}"
    server_manager_instance.release_server(str(file))
