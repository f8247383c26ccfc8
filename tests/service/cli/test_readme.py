"""What the README shows works: its commands run in order, its make targets and links exist."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from model.two_tower.prepared_models import DEFAULT_MODEL, KNOWN, Record, hash_files, prepared_folder, write_record
from service.cli import app
from tests.two_towers import write_sentence_transformer

if TYPE_CHECKING:
    from tests.service.conftest import World

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """The indented `quartet ...` lines, without their comments."""
    lines = re.findall(r"^    (quartet .*)$", README, flags=re.MULTILINE)
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_its_commands_run_in_order(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A tiny model stands where `quartet prepare` would have put the one that is shown.
    models = tmp_path / "models"
    folder = write_sentence_transformer(prepared_folder(models, DEFAULT_MODEL))
    write_record(folder, Record(DEFAULT_MODEL, KNOWN[DEFAULT_MODEL], "a" * 40, hash_files(folder)))
    monkeypatch.setenv("QUARTET_MODELS", str(models))
    monkeypatch.delenv("QUARTET_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(world.videos, tmp_path / "Videos")
    shutil.copy(world.videos / "red.mp4", tmp_path / "clip.mp4")
    Path("captions.txt").write_text("\n".join(world.texts.values()), encoding="utf-8")
    ran = []
    for arguments in commands():
        here = [argument.replace("~", str(tmp_path)) for argument in arguments]
        # A server does not end by itself, and fetching needs a network: their options are checked by their help.
        result = CliRunner().invoke(app, [*here, "--help"] if here[0] in ("serve", "prepare") else here)
        assert result.exit_code == 0, (arguments, result.output)
        ran.append(here[0])
    assert {"index", "search", "captions", "describe", "serve"} <= set(ran)


def test_its_make_targets_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    shown = set(re.findall(r"^    make (\w+)", README, flags=re.MULTILINE))
    assert shown and shown <= targets


def test_its_links_lead_somewhere() -> None:
    paths = re.findall(r"\]\((?!http)([^)#]+)\)", README) + re.findall(r"docs/[\w-]+\.md", README)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_first_result_comes_early() -> None:
    assert "make demo" in "\n".join(README.splitlines()[:30])
