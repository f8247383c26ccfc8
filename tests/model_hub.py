"""A model hub on this machine: folders served over HTTP as the real one serves repositories.

python -m tests.model_hub PORT      serves a tiny CLIP with random weights as tiny/clip, until it is stopped
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.two_towers import write_clip

COMMITS = {"main": "a" * 40, "old": "b" * 40}


@dataclass
class Hub:
    """Folders served as repositories; every commit has the same files. `asked` are the paths of all requests."""

    url: str
    repositories: dict[str, Path]
    asked: list[str] = field(default_factory=list)


@contextmanager
def model_hub(host: str = "127.0.0.1", port: int = 0) -> Iterator[Hub]:
    """A hub without repositories, which may be added while it serves."""
    served = Hub("", {})

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            served.asked.append(f"{self.command} {self.path}")
            path = self.path.split("?")[0]
            for name, folder in served.repositories.items():
                if path.startswith(f"/api/models/{name}"):
                    rest = path.removeprefix(f"/api/models/{name}").strip("/").split("/")
                    revision = rest[1] if rest[0] in ("revision", "tree") else "main"
                    commit = COMMITS.get(revision, revision)
                    if commit not in COMMITS.values():
                        return self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"}, body)
                    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
                    about: object = {"id": name, "sha": commit, "siblings": [{"rfilename": n} for n in names]}
                    if rest[0] == "tree":
                        about = [
                            {"type": "file", "path": n, "size": (folder / n).stat().st_size, "oid": _oid(folder / n)}
                            for n in names
                        ]
                    return self._send(200, json.dumps(about).encode(), {}, body)
                if path.startswith(f"/{name}/resolve/"):
                    commit, _, file = path.removeprefix(f"/{name}/resolve/").partition("/")
                    headers = {"X-Repo-Commit": commit, "ETag": f'"{_oid(folder / file)}"'}
                    return self._send(200, (folder / file).read_bytes(), headers, body)
            return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body)

        def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer((host, port), Handler)
    served.url = f"http://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _oid(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, model_hub("0.0.0.0", int(sys.argv[1])) as hub:
        hub.repositories["tiny/clip"] = write_clip(Path(folder))
        print(f"tiny/clip is at {hub.url}.", flush=True)
        threading.Event().wait()
