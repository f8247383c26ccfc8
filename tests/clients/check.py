"""Clients are generated from docs/openapi.json, and each answers a search: `python -m tests.clients.check` (needs npm).

redocly lint finds nothing, openapi-typescript's types pass `tsc --strict`, openapi-python-client warns of nothing. The
tools are installed into build/clients, with versions of their own: they do not go with those of this project.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from indexer.ingest.index_run import index_videos
from model.fake_encoder import FakeEncoder
from service.settings import Settings
from tests.service.conftest import COLOURS, write_video
from tests.service.running import running

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DESCRIPTION = ROOT / "docs" / "openapi.json"
KEY = "a-key-of-some-length"
GENERATOR = "openapi-python-client==0.29.1"


def main() -> None:
    place = ROOT / "build" / "clients"
    place.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "search.ts", "search.py"):
        (place / name).write_bytes((HERE / name).read_bytes())
    run(place, "npm", "install", "--no-audit", "--no-fund", "--loglevel=error")
    run(place, "npx", "redocly", "lint", str(DESCRIPTION))
    run(place, "npx", "openapi-typescript", str(DESCRIPTION), "--default-non-nullable", "false", "--output", "api.ts")
    strict = ("--strict", "--noUncheckedIndexedAccess", "--skipLibCheck", "--module", "nodenext", "--target", "es2022")
    run(place, "npx", "tsc", *strict, "search.ts", "api.ts")
    python = place / "python"
    if not python.exists():
        venv.create(python, with_pip=True)
        run(place, str(python / "bin" / "pip"), "install", "--quiet", GENERATOR)
    said = run(
        place, str(python / "bin" / "openapi-python-client"), "generate", "--path", str(DESCRIPTION), "--overwrite",
        "--output-path", "generated", "--meta", "none", "--config", str(HERE / "openapi-python-client.yml"),
    )  # fmt: skip
    if "WARNING" in said or "ERROR" in said:
        sys.exit(f"openapi-python-client is not content:\n{said}")
    with tempfile.TemporaryDirectory() as folder:
        videos = Path(folder) / "videos"
        videos.mkdir()
        for name, colour in COLOURS.items():
            write_video(videos / f"{name}.mp4", colour)
        index_videos(Path(folder) / "library", [videos], FakeEncoder())
        with running(Settings(library=Path(folder) / "library", api_key=KEY), FakeEncoder()) as service:
            run(place, str(python / "bin" / "python"), "search.py", service.url, KEY, str(videos / "red.mp4"))
            run(place, "node", "search.js", service.url, KEY)
    print("Every generated client answers.")


def run(place: Path, *command: str) -> str:
    print("+", *command, flush=True)
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr, flush=True)
    if done.returncode:
        sys.exit(f"{command[0]} ended with status {done.returncode}.")
    return done.stdout + done.stderr


if __name__ == "__main__":
    main()
