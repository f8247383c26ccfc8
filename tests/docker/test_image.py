"""The Dockerfile copies what exists and installs what the package asks for; serve.sh serves the right library."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

FAKE = """#!/bin/sh
echo "library=$QUARTET_LIBRARY model=${QUARTET_MODEL:-} arguments=$* no_key=${QUARTET_ALLOW_NO_KEY:-}" >> "$LOG"
echo "hosts=${QUARTET_ALLOWED_HOSTS:-}" >> "$LOG"
case "$QUARTET_LIBRARY" in
/demo/*)
    [ -z "${INDEXED:-}" ] || echo 000002 > "$INDEXED"
    trap 'echo stopped >> "$LOG"; exit 143' TERM
    [ -z "${BROKEN:-}" ] || exit 3
    [ -z "${READY:-}" ] || echo ready > "$READY"
    while :; do sleep 0.05; done
    ;;
esac
"""
"""In place of `quartet`: notes how it is called; as the demo it runs until it is stopped."""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    (tmp_path / "library").mkdir()
    return tmp_path / "library"


@pytest.fixture
def environment(tmp_path: Path, library: Path) -> dict[str, str]:
    fake = tmp_path / "bin" / "quartet"
    fake.parent.mkdir()
    fake.write_text(FAKE)
    fake.chmod(0o755)
    return {
        "PATH": f"{fake.parent}:{os.environ['PATH']}",
        "LOG": str(tmp_path / "log"),
        "QUARTET_LIBRARY": str(library),
    }


def serve(root: Path, environment: dict[str, str]) -> list[str]:
    subprocess.run([root / "docker" / "serve.sh"], env=environment, check=True, capture_output=True, timeout=60)
    return Path(environment["LOG"]).read_text().splitlines()


def test_it_serves_a_library_that_is_there(root: Path, environment: dict[str, str], library: Path) -> None:
    (library / "CURRENT").write_text("000002\n")
    log = serve(root, environment)
    assert log[0] == f"library={library} model= arguments=serve --host 0.0.0.0 --port 8000 no_key="


def test_it_changes_over_from_the_demo_when_something_is_indexed(
    root: Path, environment: dict[str, str], library: Path
) -> None:
    log = serve(root, environment | {"INDEXED": str(library / "CURRENT")})
    assert log[0].startswith("library=/demo/library model=demo arguments=serve")
    assert log[2] == "stopped"
    assert log[3].startswith(f"library={library} model= arguments=serve")


def test_a_demo_that_fails_ends_it(root: Path, environment: dict[str, str]) -> None:
    failed = subprocess.run([root / "docker" / "serve.sh"], env=environment | {"BROKEN": "1"}, timeout=60, check=False)
    assert failed.returncode == 3


def test_stopping_the_demo_ends_it(root: Path, environment: dict[str, str], library: Path, tmp_path: Path) -> None:
    (library / "CURRENT").write_text("000001\n")  # made, with nothing in it yet
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    process = subprocess.Popen(
        [root / "docker" / "serve.sh"], env=environment | {"READY": str(ready)}, stdout=subprocess.DEVNULL
    )
    assert ready.read_text() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert Path(environment["LOG"]).read_text().splitlines()[2:] == ["stopped"]


@pytest.mark.parametrize(
    ("given", "no_key", "hosts"),
    [
        ({"QUARTET_PUBLISH": "127.0.0.1:8000"}, "1", "localhost,127.0.0.1,::1,service,service-gpu"),
        ({"QUARTET_PUBLISH": "127.0.0.1:8000", "QUARTET_API_KEY": "k" * 16}, "", ""),
        ({"QUARTET_PUBLISH": "0.0.0.0:8000"}, "", ""),
        ({"QUARTET_PUBLISH": "8000"}, "", ""),
        ({}, "", ""),
    ],
)
def test_no_key_is_needed_only_where_nobody_else_reaches_it(
    root: Path, environment: dict[str, str], library: Path, given: dict[str, str], no_key: str, hosts: str
) -> None:
    (library / "CURRENT").write_text("000002\n")
    log = serve(root, environment | given)
    assert log[0].endswith(f" no_key={no_key}")
    assert log[1] == f"hosts={hosts}"


def test_what_it_copies_exists_and_reaches_the_builder(root: Path, dockerfile: str) -> None:
    let_in = {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, flags=re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    assert {"model", "indexer", "service", "demo"} <= sources
    for source in sources:
        assert (root / source).exists()
        assert Path(source).parts[0] in let_in
    packages = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(packages["packages"]) <= sources


def test_the_base_is_pinned(dockerfile: str) -> None:
    assert re.search(r"^ARG BASE=\S+:[\w-]+@sha256:[0-9a-f]{64}$", dockerfile, flags=re.MULTILINE)
    assert re.findall(r"^FROM (\S+)", dockerfile, flags=re.MULTILINE)[0] == "${BASE}"


@pytest.mark.parametrize("variant", ["cpu", "gpu"])
def test_the_pinned_versions_suit_the_package(root: Path, dockerfile: str, variant: str) -> None:
    pins = [Requirement(line) for line in (root / "docker" / "constraints.txt").read_text().splitlines()]
    versions = {pin.name.lower().replace("_", "-"): next(iter(pin.specifier)).version for pin in pins}
    for name, version in re.findall(r"(torch|torchvision)==([\d.]+)", dockerfile):
        assert versions[name] == version
    command = [
        sys.executable,
        root / "docker" / "requirements.py",
        root / "pyproject.toml",
        variant,
        "postgres",
        "milvus",
    ]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    wanted = [Requirement(line) for line in printed]
    assert f"faiss-{variant}" in {requirement.name for requirement in wanted}
    for requirement in wanted:
        name = requirement.name.lower().replace("_", "-")
        assert name in versions, f"{name} has no version in docker/constraints.txt"
        assert requirement.specifier.contains(versions[name]), requirement
