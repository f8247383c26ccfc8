"""Looking after a library on the command line, and what it says to bad input: one sentence, and nothing changes."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from indexer.disk.writer_lock import writer_lock
from indexer.ingest.index_run import index_videos
from indexer.search.approximate.encoding import Encoding
from indexer.store.library import Library
from indexer.store.search_settings import library_precision
from model.fake_encoder import FakeEncoder
from model.levels import LEVEL_NAMES
from model.registry import BUNDLED, checkpoint_fingerprint
from quartet.schemas.jobs import Repaired, Tuned
from service.cli import app

if TYPE_CHECKING:
    from tests.service.conftest import World

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QUARTET_LIBRARY", "QUARTET_ROOTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QUARTET_MODEL", "fake")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def own(world: World, tmp_path: Path) -> World:
    """A library and videos that a test may change. The library says that the videos are elsewhere."""
    return replace(world, videos=Path(shutil.copytree(world.videos, tmp_path / "moved")))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def words(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def state(library: Path) -> dict[str, object]:
    """What every file of a library says."""
    catalogue = sqlite3.connect(library / "catalog.sqlite")
    tables = list(catalogue.iterdump())
    catalogue.close()
    parts = (library / "CURRENT", library / "generations", library / "thumbnails")
    files = (file for part in parts for file in (part, *part.rglob("*")) if file.is_file())
    return {"catalogue": tables, **{str(file): file.read_bytes() for file in files}}


def refused(result: Result, said: str) -> None:
    """It ended with one line on stderr and exit code 1."""
    assert result.exit_code == 1, result.output
    assert said in result.stderr
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1


def test_status_says_how_much_there_is_and_where(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = words(run("status", "--library", own.library, "--root", f"videos={own.videos}").stdout)
    assert "videos 5, 0:00:08 h" in shown and "2 files refused" in shown
    assert f"root videos: {own.videos}" in shown
    assert "index" in shown and "pictures" in shown
    assert "missing" not in shown
    (own.videos / "red.mp4").unlink()
    monkeypatch.setenv("QUARTET_ROOTS", f"videos={own.videos}")
    assert "1 missing" in words(run("status", "--library", own.library).stdout)


def test_status_for_machines(built_world: World) -> None:
    found = json.loads(run("status", "--library", built_world.library, "--json").stdout)
    assert found["generation"] == (built_world.library / "CURRENT").read_text().strip()
    assert found["model"]["fingerprint"] == "fake-0-16"
    assert found["videos"]["count"] == found["clips"]["count"] == found["clips"]["searchable"]
    assert found["videos"]["missing"] == 0
    assert found["search"]["clips"] == {"exact": True, "encoding": None, "training_due": None}
    assert {"file": str(built_world.videos / "empty.mp4"), "reason": "empty-file", "detail": "The file is empty."} in (
        found["failures"]
    )


def test_relocating_and_verifying(own: World) -> None:
    moved = own.videos.rename(own.videos.with_name("again"))
    library = ("--library", own.library)
    assert run("relocate", "videos", moved, *library).exit_code == 0
    assert run("verify", *library, "--content").exit_code == 0
    (moved / "red.mp4").write_bytes(b"other")
    result = run("verify", *library)
    assert result.exit_code == 1
    assert "red.mp4 has changed" in words(result.stdout)
    refused(run("relocate", "films", moved, *library), "no root 'films'. Its roots are: videos")
    # What the jobs of a service read.
    event = {"event": "relocation", "root": "videos", "folder": str(moved)}
    assert json.loads(run("relocate", "videos", moved, *library, "--json").stdout) == event
    tuned = Tuned(**json.loads(run("tune", *library, "--json").stdout))
    assert tuned.galleries == {"clips": None, "captions": None}
    repaired = Repaired(**json.loads(run("repair", *library, "--json").stdout))
    assert (repaired.lost, repaired.generation) == ([], tuned.generation)


def test_status_says_when_codebooks_are_to_be_learned_again(world: World) -> None:
    (manifest,) = world.library.glob("generations/*3/manifest.json")
    written = json.loads(manifest.read_text())
    loss, strange = dict.fromkeys(LEVEL_NAMES, 0.1), dict.fromkeys(LEVEL_NAMES, 0.1) | {"action": 0.24}
    encoding = Encoding(1000, loss, loss, 50)
    for changed, said in (
        (encoding, None),
        (replace(encoding, since=strange, later=9), None),
        (replace(encoding, since=strange), "the codebook of level action: it loses 24% of them, not 10%."),
    ):
        manifest.write_text(json.dumps({**written, "encoding": {"clips": changed.to_json(), "captions": {}}}))
        shown = words(run("status", "--library", world.library).stdout)
        assert "a fast scan of 4-bit codes, which lose 10% of the vectors" in shown
        assert f"{changed.later} items came since; of them the codes lose" in shown
        assert ("Training is recommended." in shown) == ("Run `quartet tune`." in shown) == (said is not None)
        assert said is None or said in shown
    found = json.loads(run("status", "--json", "--library", world.library).stdout)["search"]["clips"]
    assert found["encoding"] == {"rows": 1000, "loss": loss, "since": strange, "later": 50}
    assert "action" in found["training_due"]


def test_tagging(own: World) -> None:
    given = ("--library", own.library, "--root", f"videos={own.videos}")
    library = given[:2]
    assert "has a tag. Give some with" in words(run("tag", *given).stdout)
    assert "1 video changed" in run("tag", own.videos / "red.mp4", "--add", "Warm Colours", "-a", "mine", *given).stdout
    assert run("tag", *given).stdout.splitlines() == ["mine: 1 video", "warm colours: 1 video"]
    assert "warm colours 1" in words(run("status", *given).stdout)
    for tags, titles in ((("warm colours", "MINE"), ["red"]), (("mine", "cold"), [])):
        options = [part for tag in tags for part in ("--tag", tag)]
        found = json.loads(run("search", "a cat", *options, "--json", *library).stdout)
        assert [hit["title"] for hit in found["hits"]] == titles
    before = state(own.library)
    refused(run("tag", own.videos / "gone.mp4", "--add", "x", *given), "The library has no video at")
    refused(run("tag", own.videos, "--add", "a,b", *given), "'a,b' is not a valid tag")
    refused(run("search", "a cat", "--tag", "", *library), "'' is not a valid tag")
    assert state(own.library) == before
    assert run("tag", own.videos, *given).exit_code == 2
    assert run("tag", "--add", "x", *given).exit_code == 2
    assert "1 video changed" in run("tag", own.videos / "red.mp4", "--remove", "mine", *given).stdout
    assert run("tag", *given).stdout.splitlines() == ["warm colours: 1 video"]


def test_removing(own: World) -> None:
    given = ("--library", own.library, "--root", f"videos={own.videos}")
    assert "1 video removed" in run("remove", own.videos / "red.mp4", *given).stdout
    (own.videos / "blue.mp4").unlink()
    assert "1 video removed" in run("remove", "--missing", *given).stdout
    assert "3 clips" in run("status", *given).stdout.replace("3 in the catalogue", "3 clips")
    before = state(own.library)
    refused(run("remove", own.videos / "red.mp4", *given), "The library has no video at")
    assert state(own.library) == before
    assert run("remove", *given).exit_code == 2


def test_missing_videos_are_kept_on_request(own: World) -> None:
    (own.videos / "red.mp4").unlink()
    given = (own.videos, "--library", own.library, "--root", f"videos={own.videos}")
    assert "0 removed, 1 missing and kept" in words(run("index", *given, "--keep-missing").stdout)
    assert "5 unchanged" not in words(run("index", *given).stdout)
    assert "1 missing" not in words(run("status", *given[1:]).stdout)


def test_progress_for_machines(built_world: World, tmp_path: Path) -> None:
    result = run("index", built_world.videos, "--library", tmp_path / "l", "--json")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["event"] for line in lines[:1] + lines[-2:]] == ["progress", "progress", "report"]
    first, last, report = lines[0], lines[-2], lines[-1]
    assert (first["done"], first["total"], first["seconds_left"], first["bottleneck"]) == (0, 7, None, None)
    assert (last["done"], last["clips"], last["seconds_left"]) == (7, 5, 0.0)
    assert last["clips_per_second"] > 0 and last["video_hours_per_hour"] > 0
    assert last["bottleneck"] == max(last["busy"], key=last["busy"].get)
    assert set(last["busy"]) == {"decode", "encode", "write"}
    assert (report["indexed"], report["interrupted"]) == (5, False)
    assert {entry["reason"] for entry in report["refused"]} == {"empty-file", "not-a-video"}


def test_a_run_that_finds_nothing_new_loads_no_model(built_world: World, tmp_path: Path) -> None:
    """The library is one of the bundled model: its specification is known without loading it."""
    encoder = FakeEncoder()
    fingerprint = checkpoint_fingerprint("demo")
    assert fingerprint is not None
    encoder.spec = replace(encoder.spec, name="quartet-demo", fingerprint=fingerprint)
    index_videos(tmp_path / "l", [built_world.videos], encoder)
    code = (
        "import sys; from service.cli import app;"
        "app(sys.argv[1:], standalone_mode=False); print('torch loaded:', 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "index", str(built_world.videos), "--library", str(tmp_path / "l"), "--json"]
    for model in ("demo", str(BUNDLED / "demo")):
        ran = subprocess.run([*command, "--model", model], capture_output=True, text=True, check=True, cwd=ROOT)
        *_, report, torch_loaded = ran.stdout.splitlines()
        assert (json.loads(report)["indexed"], json.loads(report)["unchanged"]) == (0, 5)
        assert torch_loaded == "torch loaded: False"
    refused = run("index", built_world.videos, "--library", tmp_path / "l")  # with the fake of QUARTET_MODEL
    assert refused.exit_code == 1 and fingerprint in words(refused.stderr)


def test_a_library_of_an_earlier_bundled_model_is_changed_to_the_new_one(
    built_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, loaded = FakeEncoder(), FakeEncoder()
    encoder.spec = replace(encoder.spec, name="quartet-demo", fingerprint="earlier")
    index_videos(tmp_path / "l", [built_world.videos], encoder)
    loaded.spec = replace(encoder.spec, fingerprint="new")
    monkeypatch.setattr("service.encoders.model_choice.open_encoder", lambda settings: loaded)
    command = ("index", built_world.videos, "--library", tmp_path / "l")
    monkeypatch.setenv("QUARTET_MODEL", "demo")
    refused = run(*command)
    assert refused.exit_code == 1 and "quartet index VIDEOS --library LIBRARY --model MODEL" in words(refused.output)
    changed = run(*command, "--model", "demo")
    assert changed.exit_code == 0, changed.output
    with Library.open(tmp_path / "l") as library:
        assert library.current().model.fingerprint == "new"


def test_watching_reports_each_run(built_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watchfiles.watch", lambda *paths, **options: iter([set()]))
    result = run("watch", built_world.videos, "--library", tmp_path / "l", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["indexed"] == 5
    assert "5 unchanged" in words(run("watch", built_world.videos, "--library", tmp_path / "l").stdout)
    monkeypatch.setattr("indexer.ingest.folder_watch.index_videos", lambda *_, **__: (_ for _ in ()).throw(_gone()))
    assert "Not changed: it has gone" in run("watch", built_world.videos, "--library", tmp_path / "l").stdout


def _gone() -> Exception:
    from quartet.errors import InputError

    return InputError("it has gone")


def test_a_path_that_does_not_exist(world: World, tmp_path: Path) -> None:
    before = state(world.library)
    refused(run("index", world.videos, tmp_path / "none", "--library", world.library), "none does not exist")
    refused(run("watch", tmp_path / "none", "--library", tmp_path / "new"), "none does not exist")
    refused(run("captions", "add", tmp_path / "none.srt", "--library", world.library), "none.srt cannot be read")
    assert state(world.library) == before
    assert not (tmp_path / "new").exists()


def test_a_library_of_a_newer_format(world: World, tmp_path: Path) -> None:
    (manifest,) = world.library.glob("generations/*3/manifest.json")
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format_version": 99}))
    before = state(world.library)
    text = tmp_path / "c.txt"
    text.write_text("a dog")
    for arguments in (
        ("index", world.videos),
        ("captions", "add", text),
        ("remove", "--missing"),
        ("relocate", "videos", tmp_path),
        ("tag", world.videos, "--add", "x"),
        ("search", "a"),
        ("status",),
    ):
        refused(run(*arguments, "--library", world.library), "has format version 99, but this version of Quartet reads")
    verified = run("verify", "--library", world.library)
    assert verified.exit_code == 1 and "format version 99" in " ".join(verified.stdout.split())
    assert state(world.library) == before


def test_a_model_that_is_none(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{")
    (tmp_path / "file").write_bytes(b"no model")
    before = state(world.library)
    for model, said in ((tmp_path / "file", "There is no model"), (folder, str(folder)), (tmp_path, str(tmp_path))):
        for library in (world.library, tmp_path / "new"):
            refused(run("index", world.videos, "--library", library, "--model", model), said)
    assert state(world.library) == before
    assert not (tmp_path / "new").exists()


def test_a_library_that_another_process_writes(world: World) -> None:
    with writer_lock(world.library):
        for arguments in (("index", world.videos), ("remove", "--missing"), ("verify",)):
            refused(run(*arguments, "--library", world.library), f"Process {os.getpid()} is writing")


def test_a_root_that_is_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(run("status", "--library", world.library, "--root", "films=/x"), "no root 'films'. Its roots are: videos")
    assert run("status", "--library", world.library, "--root", "films").exit_code == 2
    monkeypatch.setenv("QUARTET_ROOTS", "films")
    refused(run("status", "--library", world.library), "The setting QUARTET_ROOTS cannot be used")


def test_a_library_folder_that_is_closed_to_writing(world: World) -> None:
    before = state(world.library)
    folders = [world.library, *(path for path in world.library.rglob("*") if path.is_dir())]
    # Root may write everywhere, unless it gives up that capability.
    powerless = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    if powerless and shutil.which("setpriv") is None:
        pytest.skip("root without setpriv cannot be refused anything")
    for folder in folders:
        folder.chmod(0o555)
    try:
        command = [*powerless, sys.executable, "-c", "from service.cli import main; main()"]
        done = subprocess.run(
            [*command, "index", str(world.videos), "--library", str(world.library)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert done.returncode == 1
    said = f"The library {world.library} cannot be written: its folder is read-only. Change its permissions."
    assert done.stderr == f"Error: {said}\n"
    assert state(world.library) == before


def test_the_model_is_changed_by_its_option_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    other = FakeEncoder(1, dim=24)

    def load(name: str, *arguments: object, **options: object) -> FakeEncoder:
        return {"fake": FakeEncoder(), "other": other}[name]

    monkeypatch.setattr("model.registry.load_encoder", load)
    monkeypatch.setenv("QUARTET_MODEL", "other")
    refused = run("index", world.videos, "--library", world.library)
    assert refused.exit_code == 1 and "fingerprint fake-1-24" in words(refused.output)
    monkeypatch.delenv("QUARTET_MODEL")
    done = run("index", world.videos, "--library", world.library, "--model", "other")
    assert done.exit_code == 0, done.output
    assert "5 clips and 5 texts encoded by fake-1, which now answers instead of fake-0." in words(done.output)
    shown = words(run("status", "--library", world.library).output)
    assert "model fake-1 (fake-1-24)" in shown and "model before fake-0 (fake-0-16): 5 clips and 5 captions" in shown
    (known,) = json.loads(run("status", "--library", world.library, "--json").output)["other_models"]
    assert (known["what"], known["model"]["name"]) == ("before", "fake-0")
    back = run("index", world.videos, "--library", world.library, "--model", "fake")
    assert "0 clips and 0 texts encoded by fake-0" in words(back.output)
    assert "The vectors of fake-1 are removed." in run("remove", "--other-model", "--library", world.library).output
    assert "vectors of one model only" in words(run("remove", "--other-model", "--library", world.library).output)


def test_a_first_run_that_is_cut_short_goes_on_with_its_precision(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(*_: object) -> None:
        raise RuntimeError("The power is gone.")

    library = tmp_path / "new"
    with monkeypatch.context() as patch:
        patch.setattr("indexer.pipeline.local_pipeline.LocalPipeline.outcomes", cut_short)
        failed = run("index", world.videos, "--library", library, "--precision", "bf16")
    assert failed.exit_code
    assert library_precision(library) == "bf16"
