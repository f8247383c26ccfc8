"""Commands with `--server`, against a running service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from model.fake_encoder import FakeEncoder
from service.cli import app
from service.settings import Settings
from tests.service.running import running

if TYPE_CHECKING:
    from tests.service.conftest import World

KEY = "a-key-of-some-length"
LARGEST = 100_000
"""Bytes of an upload."""
Run = Callable[..., Result]


@pytest.fixture
def run(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("QUARTET_API_KEY", KEY)
    settings = Settings(
        library=world.library,
        model="fake",
        upload_folder=tmp_path / "uploads",
        max_upload_bytes=LARGEST,
        job_folders={"films": world.videos},
    )
    with running(settings, FakeEncoder()) as service:
        yield lambda *given: CliRunner().invoke(app, [*map(str, given), "--server", service.url])


def said(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def test_what_a_library_is_asked(run: Run, world: World) -> None:
    assert "5 videos, 5 clips, 5 captions" in said(run("status"))
    assert json.loads(said(run("status", "--json")))["library"]["failures"] == 2
    assert "videos/red.mp4" in said(run("videos", "red")) and "blue" not in said(run("videos", "red"))
    described = json.loads(
        said(run("describe", world.videos / "red.mp4", "-k", "2", "--weights", "action=2", "--json"))
    )
    assert len(described["hits"]) == 2 and described["weights"]["action"] == 2
    assert "job" in said(run("jobs"))


def test_what_changes_it(run: Run) -> None:
    assert said(run("tag", "red", "blue.mp4", "--add", "bright")) == "2 videos changed.\n"
    assert said(run("tag", "*.mp4", "--add", "all")) == "5 videos changed.\n"
    assert "bright: 2 videos" in said(run("tag")) and "all: 5 videos" in said(run("tag"))
    missing = run("tag", "pink", "--add", "bright")
    assert missing.exit_code == 1 and "no video 'pink'" in missing.stderr
    assert "1 caption removed" in said(run("captions", "remove", "a red square sliding past a wall"))
    gone = run("captions", "remove", "a red square sliding past a wall")
    assert gone.exit_code == 1 and "no caption" in gone.stderr
    assert "4 captions removed" in said(run("captions", "remove", "--from", "captions.jsonl"))
    assert "2 videos removed. The service now has 3 clips." in said(run("remove", "red", "blue.mp4"))
    assert run("remove").exit_code == 2


def test_it_is_measured(run: Run, world: World, tmp_path: Path) -> None:
    captions = tmp_path / "captions.jsonl"
    lines = [{"video": f"{name}.mp4", "captions": [f"a {name} square"]} for name in ("red", "blue", "nowhere")]
    captions.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    table = said(run("evaluate", captions))
    assert "R@1" in table
    figures = json.loads(said(run("evaluate", captions, "--json")))
    assert figures["event"] == "evaluation" and figures["markdown"].strip() in table
    two = run("evaluate", captions, captions)
    assert two.exit_code == 1 and "one caption file at a time" in two.stderr
    local = run("evaluate", captions, "--fit-weights")
    assert local.exit_code == 2 and "--fit-weights cannot be used with --server" in " ".join(local.stderr.split())


def test_it_is_maintained(run: Run, commands_of_jobs: list[list[str]], world: World) -> None:
    assert "A picture." in said(run("repair", "--accept-catalogue"))
    assert said(run("tune", "--approximate-from", "5000")) == "clips: exact, by scanning\ncaptions: PQ, 4 bits\n"
    assert said(run("relocate", "videos", "films")) == "The videos of videos are now in films.\n"
    repaired, tuned, relocated = commands_of_jobs
    assert repaired[:2] == ["repair", "--json"] and repaired[-2:] == ["--accept-catalogue", "--"]
    assert tuned == ["tune", "--json", "--library", str(world.library), "--approximate-from=5000", "--"]
    assert relocated == ["relocate", "--json", "--library", str(world.library), "--", "videos", str(world.videos)]
    for wrong, reason in ((("dogs", "films"), "no root 'dogs'"), (("videos", "."), "no folder '.'")):
        refused = run("relocate", *wrong)
        assert refused.exit_code == 1 and reason in refused.stderr
    file = run("relocate", "videos", "films/red.mp4")
    assert file.exit_code == 1 and "films/red.mp4 is a file" in file.stderr
    nowhere = run("export")
    assert nowhere.exit_code == 1 and "Set QUARTET_MILVUS" in nowhere.stderr


def test_clips_are_cut_there_and_come_here(run: Run, tmp_path: Path) -> None:
    said(run("cut", "1", "2", "--to", tmp_path / "files"))
    files = sorted((tmp_path / "files").iterdir())
    assert {file.name.rpartition(" ")[2] for file in files} == {"1.mp4", "2.mp4"}
    assert all(file.read_bytes()[4:8] == b"ftyp" for file in files)
    assert "2 clips listed in" in said(run("cut", "1", "2", "--to", tmp_path / "clips.csv"))
    assert len((tmp_path / "clips.csv").read_text(encoding="utf-8").splitlines()) == 3
    missing = run("cut", "99", "--to", tmp_path / "more")
    assert missing.exit_code == 1 and "99" in missing.stderr


def test_saved_searches(run: Run, world: World, tmp_path: Path) -> None:
    assert said(run("searches", "save", "squares", "a square", "--longest", "100")) == "Saved as squares.\n"
    assert "squares" in said(run("searches", "list")) and '"longest":100.0' in said(run("searches", "list"))
    assert said(run("searches", "new", "squares")) == "Nothing new.\n"
    (tmp_path / "a.mp4").write_bytes((world.videos / "red.mp4").read_bytes() + b"x")
    said(run("index", tmp_path / "a.mp4"))
    kept = json.loads(said(run("searches", "new", "squares", "--keep", "--json")))
    assert [hit["title"] for hit in kept["hits"]] == ["a"]
    assert "a " in said(run("searches", "new", "squares")) and "Nothing new" in said(run("searches", "new", "squares"))
    missing = run("searches", "new", "dogs")
    assert missing.exit_code == 1 and "no saved search 'dogs'" in missing.stderr
    said(run("searches", "remove", "squares"))
    assert "no saved searches" in said(run("searches", "list"))


def test_videos_are_uploaded_and_indexed(run: Run, world: World, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    (folder / ".hidden").mkdir(parents=True)
    (folder / "one.mp4").write_bytes((world.videos / "red.mp4").read_bytes() + b"x")
    (folder / "notes.txt").write_text("words", encoding="utf-8")
    (folder / ".hidden" / "two.mp4").write_text("words", encoding="utf-8")
    assert "1 video indexed (generation" in said(run("index", folder))
    listed = said(run("jobs"))
    assert "index" in listed and "done" in listed and "1 of 1" in listed
    cancelled = run("jobs", "--cancel", "none")
    assert cancelled.exit_code == 1 and "no job none" in cancelled.stderr


def test_one_job_takes_a_whole_folder(run: Run, world: World, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    (folder / "more").mkdir(parents=True)
    film = (world.videos / "red.mp4").read_bytes()
    for number, name in enumerate(("a.mp4", "b.mp4", "more/a.mp4")):
        (folder / name).write_bytes(film + bytes([number]))
    (folder / "c.mp4").write_bytes(film + bytes(LARGEST))
    (folder / "d.mp4").write_text("words", encoding="utf-8")
    ended = said(run("index", folder))
    # A file that cannot be used does not stop the others.
    assert "Refused: c.mp4: An upload may have at most" in ended
    assert "Refused: d.mp4: " in ended and "3 videos indexed (generation" in ended
    assert said(run("jobs")).count("done") == 1 + 1  # the heading and the job
    strict = run("index", folder / "d.mp4", "--strict")
    assert strict.exit_code == 1 and "0 videos indexed" in strict.stdout


def test_more_videos_than_a_job_may_have_are_several_jobs(
    run: Run, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quartet.requests.jobs.MAX_UPLOADS", 2)
    for number in range(3):
        (tmp_path / f"{number}.mp4").write_bytes((world.videos / "red.mp4").read_bytes() + bytes([number]))
    ended = said(run("index", *(tmp_path / f"{number}.mp4" for number in range(3))))
    assert "2 videos indexed" in ended and "1 video indexed" in ended


def test_what_was_sent_before_an_error_is_indexed(run: Run, world: World, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes((world.videos / "red.mp4").read_bytes() + b"x")
    broken = run("index", tmp_path / "a.mp4", tmp_path / "missing.mp4")
    assert broken.exit_code == 1 and "missing.mp4 cannot be read" in broken.stderr
    assert "1 video indexed" in broken.stdout


@pytest.mark.parametrize(
    ("given", "option"),
    [
        (("status", "--root", "films=here"), "--root"),
        (("index", "a.mp4", "--keep-missing", "--no-texts"), "--keep-missing, --no-texts"),
        (("tune", "--undo"), "--undo"),
        (("export", "--to", "milvus://here:1/a"), "--to"),
        (("captions", "remove", "a", "--erase-now"), "--erase-now"),
        (("describe", __file__, "--model", "fake"), "--model"),
        (("verify", "--json"), "--json"),
        (("remove", "a", "--erase-now"), "--erase-now"),
        (("searches", "new", "a", "--model", "fake"), "--model"),
    ],
)
def test_an_option_for_a_library_of_this_machine_is_refused(
    given: tuple[str, ...], option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    refused = CliRunner().invoke(app, [*given, "--server", "http://quartet"])
    assert refused.exit_code == 2 and f"{option} cannot be used with --server" in refused.stderr


def test_a_command_that_needs_the_files_of_this_machine_has_no_server() -> None:
    for command in ("train", "serve", "watch", "features"):
        refused = CliRunner().invoke(app, [command, "--server", "http://quartet"])
        assert refused.exit_code == 2 and "No such option" in refused.stderr
