"""The command line, with the fake model."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result
from uvicorn import Server

from indexer.store.library import Library
from model.fake_encoder import FakeEncoder
from quartet import __version__
from quartet.errors import ModelError
from service.__main__ import main as entry
from service.cli import app

if TYPE_CHECKING:
    from tests.service.conftest import World

COMMANDS = (
    ["demo"],
    ["demo-dataset"],
    ["prepare"],
    ["index"],
    ["watch"],
    ["remove"],
    ["captions", "add"],
    ["search"],
    ["describe"],
    ["serve"],
    ["status"],
    ["tag"],
    ["verify"],
    ["relocate"],
    ["tune"],
    ["export"],
    ["features"],
    ["train"],
    ["evaluate"],
    ["compare"],
    ["doctor"],
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The fake model by default, and wide plain output."""
    monkeypatch.delenv("QUARTET_LIBRARY", raising=False)
    monkeypatch.setenv("QUARTET_MODEL", "fake")
    monkeypatch.setenv("QUARTET_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("COLUMNS", "120")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def words(text: str) -> str:
    """`text` without line breaks and table borders."""
    return " ".join(text.replace("│", " ").split())


def test_version() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"quartet {__version__}\n")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_a_sentence_and_an_example(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    if command != ["doctor"]:
        assert f"quartet {' '.join(command)}" in result.stdout
    assert "." in result.stdout


def test_help_flows_to_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    shown = run("index", "--help").stdout
    assert "later commands use the same model. Run it again after a change: only new and changed files" in shown
    strict = next(line for line in shown.splitlines() if "--strict" in line)
    assert "bool" not in strict and "bool" not in next(line for line in shown.splitlines() if "--help" in line)
    assert "<path>" in next(line for line in shown.splitlines() if "--base" in line)


def test_help_and_version_import_nothing_heavy() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from service.cli import app; r = CliRunner();"
        "assert r.invoke(app, ['--help']).exit_code == r.invoke(app, ['--version']).exit_code == 0;"
        "heavy = {'torch', 'spacy', 'faiss', 'numpy', 'fastapi', 'sqlalchemy', 'sentence_transformers', 'pymilvus'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_from_videos_to_answers(built_world: World, tmp_path: Path) -> None:
    library = tmp_path / "library"
    indexed = run("index", built_world.videos, "--library", library)
    assert indexed.exit_code == 0, indexed.output
    assert "5 indexed, 0 unchanged" in indexed.stdout
    assert "empty.mp4" in words(indexed.stdout).replace(" ", "")
    assert "empty-file" in indexed.stdout
    assert "[b]markup.mp4" in indexed.stdout

    added = run("captions", "add", built_world.captions, "--library", library)
    assert added.exit_code == 0, added.output
    assert "5 added" in added.stdout

    found = run("search", "a red square sliding", "--library", library, "-k", "2")
    assert found.exit_code == 0, found.output
    for column in ("score", "global", "entity", "action", "relation", "matched"):
        assert column in found.stdout
    assert "exact" in found.stdout

    described = run("describe", built_world.videos / "blue.mp4", "--library", library)
    assert described.exit_code == 0, described.output
    for text in built_world.texts.values():
        assert text in words(described.stdout)

    status = run("status", "--library", library)
    assert status.exit_code == 0, status.output
    assert "fake-0-16" in status.stdout
    assert "5 in the catalogue, 5 searchable" in status.stdout
    assert "search in clips exact, by scanning" in words(status.stdout)
    assert "clips: exact, by scanning" in run("tune", "--library", library).stdout
    assert "no file is damaged" in words(run("verify", "--library", library).stdout)
    assert "empty-file" in status.stdout


def test_json_is_what_the_api_answers(built_world: World) -> None:
    result = run("search", "square", "--library", built_world.library, "--json", "--weights", "entity=2, relation=0")
    answer = json.loads(result.stdout)
    assert answer["weights"] == {"global": 1, "entity": 2, "action": 1, "relation": 0, "words": 16}
    assert answer["hits"][0]["levels"]["action"]["weight"] == 0
    described = run("describe", built_world.videos / "red.mp4", "--library", built_world.library, "--json", "-k", "1")
    assert len(json.loads(described.stdout)["hits"]) == 1


def test_the_library_may_come_from_the_environment(built_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUARTET_LIBRARY", str(built_world.library))
    assert run("search", "square").exit_code == 0


def test_files_are_divided_on_request(built_world: World, tmp_path: Path) -> None:
    video, library = built_world.videos / "red.mp4", tmp_path / "windows"
    result = run("index", video, "--library", library, "--segment", "window", "--window", "0.5", "--overlap", "0")
    assert "has 3 clips" in words(result.stdout)
    hits = json.loads(run("search", "red", "--library", library, "--json").stdout)["hits"]
    assert sorted((hit["start"], hit["end"]) for hit in hits) == [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)]
    refused = run("index", video, "--library", tmp_path / "none", "--segment", "window", "--overlap", "60")
    assert refused.exit_code == 1
    assert refused.stderr == "Error: The overlap of windows of 10 s must be from 0 to 9 s, not 60 s.\n"
    assert not (tmp_path / "none").exists()
    for wrong in (("--window", "5"), ("--segment", "shot", "--overlap", "1"), ("--segment", "whole", "--cut", "9")):
        unfit = run("index", video, "--library", tmp_path / "none", *wrong)
        assert unfit.exit_code == 2
        assert "This option needs --segment" in words(unfit.stderr)


def test_files_are_divided_again_where_another_way_is_asked_for(built_world: World, tmp_path: Path) -> None:
    index = ("index", built_world.videos / "red.mp4", "--library", tmp_path / "l")
    assert "1 indexed, 0 unchanged" in words(run(*index).stdout)
    windows = ("--segment", "window", "--window", "0.5", "--overlap", "0")
    assert "1 indexed (1 of them divided again), 0 unchanged" in words(run(*index, *windows).stdout)
    assert "0 indexed, 1 unchanged" in words(run(*index).stdout)


def test_files_that_nobody_takes_for_videos_are_counted(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    for name in ("manifest.csv", "notes.TXT", "README", "b.csv"):
        (media / name).write_text("words\n")
    (media / "page.mp4").write_text("<html>")
    shown = run("index", media, "--library", tmp_path / "l")
    assert "1 refused" in shown.stdout and "page.mp4" in shown.stdout
    assert "4 files are not videos: 2 .csv, 1 without a suffix, 1 .txt." in words(shown.stdout)
    assert "manifest" not in shown.stdout
    assert "4 files are not videos" in words(run("status", "--library", tmp_path / "l").stdout)
    assert len(json.loads(run("status", "--library", tmp_path / "l", "--json").stdout)["failures"]) == 5
    with Library.open(tmp_path / "l") as library:
        assert library.catalog.counts().failures == 1
        assert [failure.path.name for failure in library.catalog.failures(others=False)] == ["page.mp4"]
        assert len(library.catalog.failures()) == 5
    (media / "page.mp4").unlink()
    assert run("index", media, "--library", tmp_path / "l", "--strict").exit_code == 0


def test_strict_fails_for_a_refused_file(built_world: World, tmp_path: Path) -> None:
    arguments = ("index", built_world.videos / "empty.mp4", "--library", tmp_path / "l")
    assert run(*arguments).exit_code == 0
    assert run(*arguments, "--strict").exit_code == 1


def test_describing_without_captions_says_what_to_do(built_world: World, tmp_path: Path) -> None:
    Library.create(tmp_path / "l", FakeEncoder().spec).close()
    result = run("describe", built_world.videos / "red.mp4", "--library", tmp_path / "l")
    assert result.exit_code == 0
    assert "quartet captions add" in result.stdout


def test_nothing_to_find_is_said(built_world: World, tmp_path: Path) -> None:
    nowhere = run("search", "a", "--library", built_world.library, "--tag", "nowhere")
    assert (nowhere.exit_code, nowhere.stdout) == (0, "No clip matches these filters.\n")
    (tmp_path / "empty").mkdir()
    indexed = run("index", tmp_path / "empty", "--library", tmp_path / "l", "--model", "fake")
    assert indexed.exit_code == 0 and "No files were found." in indexed.stdout
    assert "The library has no clips" in run("search", "a", "--library", tmp_path / "l", "--model", "fake").stdout


def test_slips_are_told_before_a_model_is_loaded(
    built_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "service.encoders.model_choice.open_encoder", lambda settings: pytest.fail("a model was loaded")
    )
    (tmp_path / "c.txt").write_text("a dog")
    there, missing = ("--library", built_world.library), ("--library", tmp_path / "none")
    for arguments, said in (
        (("captions", "add", tmp_path / "none.txt", *there), "none.txt cannot be read"),
        (("captions", "add", tmp_path / "c.txt", *missing), "There is no library"),
        (("describe", tmp_path / "none.mp4", *there), "none.mp4 does not exist or is not a file"),
        (("watch", tmp_path / "none", *missing), "none does not exist"),
        (("watch", tmp_path, *missing, "--window", "3"), "This option needs --segment window"),
    ):
        result = run(*arguments)
        assert result.exit_code in (1, 2) and said in words(result.stderr), result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("search", "", "--library", "l"), "The question is empty"),
        (("search", "x" * 1001, "--library", "l"), "1001 characters"),
        (("search", "a"), "QUARTET_LIBRARY"),
        (("search", "a", "--library", "l", "-k", "0"), "It must be at least 1"),
        (("search", "a", "--library", "l", "--weights", "colour=1"), "'colour' is not a level"),
        (("search", "a", "--library", "l", "--weights", "action"), "LEVEL=NUMBER"),
        (("search", "a", "--library", "l", "--weights", "entity=-1"), "at least 0"),
        (("search", "a", "--library", "l", "--weights", "entity=nan"), "at least 0"),
        (("index", "--library", "l"), "PATHS"),
        (("nonsense",), "nonsense"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in words(result.stderr)


def test_failures_are_one_line_and_exit_with_1(built_world: World, tmp_path: Path) -> None:
    no_model = ("--model", tmp_path / "no-model")
    for arguments, said in (
        (("search", "a", "--library", tmp_path / "none"), "There is no library"),
        (("status", "--library", tmp_path / "none"), "There is no library"),
        (("serve", "--library", built_world.library, *no_model), "There is no model"),
        (("describe", tmp_path / "none.mp4", "--library", built_world.library), "none.mp4"),
        (("captions", "add", tmp_path / "none.txt", "--library", built_world.library), "none.txt"),
        (
            ("search", "a", "--library", built_world.library, "--device", "meta"),
            "Unknown device 'meta'. Give auto, cpu",
        ),
    ):
        result = run(*arguments)
        assert result.exit_code == 1, result.output
        assert result.stderr.startswith("Error: ")
        assert said in result.stderr
        assert "Traceback" not in result.output


def test_a_place_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("words")
    result = run("demo", "--folder", tmp_path / "file", "--clips", "1", "--render-only")
    assert (result.exit_code, result.stderr) == (1, f"Error: {tmp_path}/file is a file. Name a folder.\n")


def test_serving_a_library_of_another_model_names_both(tmp_path: Path) -> None:
    Library.create(tmp_path / "other", FakeEncoder(seed=1).spec).close()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    result = run("serve", "--library", tmp_path / "other", "--port", port)
    assert result.exit_code == 1
    assert "fake-1-16" in result.stderr and "fake-0-16" in result.stderr


def test_serve_starts_a_server(built_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def run_server(server: Server) -> None:
        server.started = True
        started.append((server.config.host, server.config.port, server.config.app.title))  # type: ignore[union-attr]

    monkeypatch.setattr("uvicorn.Server.run", run_server)
    monkeypatch.setattr("service.observe.logs.configure", lambda settings: None)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    result = run("serve", "--library", built_world.library, "--port", port)
    assert result.exit_code == 0, result.output
    assert started == [("127.0.0.1", port, "Quartet")]
    assert f"http://127.0.0.1:{port}" in result.stdout


def test_serve_lets_nobody_else_in_without_a_key(built_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr("uvicorn.Server.run", started.append)
    monkeypatch.setattr("service.observe.logs.configure", lambda settings: None)
    result = run("serve", "--library", built_world.library, "--host", "0.0.0.0")
    assert result.exit_code == 1 and "QUARTET_API_KEY" in result.stderr and not started


def test_doctor_tries_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.registry.load_encoder", lambda name: FakeEncoder())
    result = run("doctor")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("ok ") == 8
    assert "quartet prepare clip-ViT-B-32" in result.stdout
    assert "wrote and read back" in result.stdout


def test_doctor_reports_what_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Callable[..., None]:
        raise ModelError("The weights are damaged.")

    monkeypatch.setattr("model.registry.load_encoder", broken)
    result = run("doctor")
    assert result.exit_code == 1
    assert "ModelError: The weights are damaged." in result.stdout


def test_ctrl_c_while_modules_are_imported_is_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "service.cli", Interrupted())
    with pytest.raises(SystemExit) as ended:
        entry()
    assert ended.value.code == 130


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["index", ""], "'PATHS': The path is empty."),
        (["status", "--library="], "The path is empty."),
        (["search", "a", "--like", "x"], "'--like': It must be a whole number."),
        (["index", "a.mp4", "--segment", "shots"], "'--segment': 'shots' is not one of 'whole', 'window', 'shot'."),
    ],
)
def test_wrong_usage_is_told_in_words_of_people(arguments: list[str], said: str) -> None:
    """An empty path, which a variable that is not set leaves, is not the current folder."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUARTET_LIBRARY", "")
    result = run("status")
    assert result.exit_code == 2 and "QUARTET_LIBRARY" in result.stderr
