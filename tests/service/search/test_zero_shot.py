"""The whole path with a two-tower model: prepared, index, search, describe, page, and the choice of a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import Result
from fastapi.testclient import TestClient
from safetensors.torch import load_file
from transformers import XCLIPModel
from typer.testing import CliRunner

from model.mcsan import presets
from model.two_tower.prepared_models import Record, hash_files, prepared_folder, write_record
from service.cli import app
from service.encoders.model_choice import open_encoder
from service.http.app import create_app
from service.settings import Settings
from tests.every_two_tower import write_tiny
from tests.german_pipeline import write_german
from tests.open_clip_models import write_open_clip
from tests.two_towers import write_clip, write_sentence_transformer, write_siglip

if TYPE_CHECKING:
    from tests.service.conftest import World

NAME = "clip-ViT-B-32"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No model named anywhere, none prepared."""
    for name in ("QUARTET_MODEL", "QUARTET_LIBRARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QUARTET_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path / "models"


def put(models: Path, write: Callable[[Path], Path], name: str) -> Path:
    """A tiny model where `quartet prepare` would have put it."""
    folder = write(prepared_folder(models, name))
    write_record(folder, Record(name, f"some/{name}", "a" * 40, hash_files(folder)))
    return folder


def write_x_clip(folder: Path) -> Path:
    return write_tiny(XCLIPModel, folder)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_sentence_transformer, NAME),
        (write_siglip, "google/siglip"),
        (write_x_clip, "some/x-clip"),
        (write_open_clip, "timm/tiny"),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning:timm", "ignore::DeprecationWarning")
def test_index_search_describe_and_page(
    built_world: World, tmp_path: Path, models: Path, write: Callable[[Path], Path], name: str
) -> None:
    put(models, write, name)
    library = tmp_path / "library"
    indexed = run("index", built_world.videos, "--library", library, "--model", name, "--frame-vectors")
    assert indexed.exit_code == 0, indexed.output
    assert "5 indexed" in words(indexed.stdout)
    assert run("captions", "add", built_world.captions, "--library", library).exit_code == 0  # the library's own model
    found = run("search", "a red square slides past a wall", "--library", library, "--json")
    assert found.exit_code == 0, found.output
    answer = json.loads(found.stdout)
    assert len(answer["hits"]) == 5 and answer["exact"]
    assert answer["weights"] == {"global": 2.0, "entity": 0.5, "action": 0.5, "relation": 1.0, "words": 16.0}
    for hit in answer["hits"]:
        total = sum(level["contribution"] for level in hit["levels"].values())
        assert hit["score"] == pytest.approx(total)
    described = run("describe", built_world.videos / "red.mp4", "--library", library, "--json")
    assert described.exit_code == 0, described.output
    assert len(json.loads(described.stdout)["hits"]) == 5
    with TestClient(create_app(Settings(library=library, models=models))) as client:
        assert client.get("/").status_code == 200
        asked = {"query": "a red square slides past a wall", "k": 5, "explain": True}
        served = client.post("/v1/search/clips", json=asked)
        assert served.status_code == 200, served.text
        assert set(served.json()["explanation"]["levels"]) == set(answer["weights"])
        (note,) = served.json()["notes"]
        assert "relation level compares the clip's global vector" in note
        assert ("cannot see motion" in note) == (name != "some/x-clip") and answer["notes"] == []
        again = client.post("/v1/search/clips", json={**asked, "rerank": True}).json()
        assert again["reranked"]["candidates"] == 5
        first, second = ({hit["clip_id"]: hit["levels"] for hit in one["hits"]} for one in (served.json(), again))
        assert all(second[clip]["global"]["raw"] == first[clip]["global"]["raw"] for clip in first)
        for level in ("entity", "action", "relation"):
            assert all(second[clip][level]["raw"] != first[clip][level]["raw"] for clip in first), level
        german = client.post("/v1/search/clips", json={"query": "ein Hund jagt eine Katze"}).json()
        assert "looks like 'de'" in german["notes"][0]
        counted = {name for hit in german["hits"] for name, level in hit["levels"].items() if level["weight"]}
        assert counted - {"words"} == {"global"} and german["hits"][0]["levels"]["global"]["weight"] > 0
        assert [hit["clip_id"] for hit in served.json()["hits"]] == [hit["clip_id"] for hit in answer["hits"]]
        assert name in client.get("/readyz").text


def test_a_folder_is_remembered(built_world: World, tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "mine")
    library = tmp_path / "library"
    assert run("index", built_world.videos / "red.mp4", "--library", library, "--model", folder).exit_code == 0
    assert run("search", "red", "--library", library).exit_code == 0
    moved = folder.rename(tmp_path / "moved")
    refused = run("search", "red", "--library", library)
    assert refused.exit_code == 1
    assert f"The model 'mine' built the library {library}, but it is no longer at {folder}" in words(refused.stderr)
    assert "--model" in refused.stderr
    assert run("search", "red", "--library", library, "--model", moved).exit_code == 0


def test_prompts_and_weights_are_set_said_and_undone(built_world: World, tmp_path: Path) -> None:
    folder, library = write_clip(tmp_path / "mine"), tmp_path / "library"
    assert run("index", built_world.videos, "--library", library, "--model", folder).exit_code == 0

    def answer() -> dict[str, Any]:
        found = run("search", "a red square slides past a wall", "--library", library, "--json")
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout)

    plain = answer()
    prompts = tmp_path / "prompts.json"
    prompts.write_text(json.dumps({"entity": ["{}", "a drawing of {}"]}))
    told = run("tune", "--library", library, "--prompts", prompts)
    assert told.exit_code == 0 and "Prompts set: entity 2" in told.stdout
    asked = answer()
    assert asked["notes"] == ["Prompts: prompts.json, set by quartet tune."]
    raws = [{hit["clip_id"]: hit["levels"]["entity"]["raw"] for hit in one["hits"]} for one in (plain, asked)]
    assert raws[0] != raws[1] and asked["model_fingerprint"] == plain["model_fingerprint"]
    captions = tmp_path / "captions.jsonl"
    lines = [{"video": name, "captions": [text]} for name, text in built_world.texts.items()]
    captions.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    fitted = run("evaluate", captions, "--library", library, "--fit-weights", "--save", "--contrast")
    assert fitted.exit_code == 0, fitted.output
    assert "| relation |" in fitted.stdout and "exactly one thing changed" in fitted.stdout
    weighed = answer()
    assert weighed["weights"] != plain["weights"] and "fitted to 5 captions of 5 videos" in weighed["notes"][1]
    assert run("tune", "--library", library, "--undo").exit_code == 0
    assert answer()["weights"] == plain["weights"] and answer()["notes"] == asked["notes"]
    told = run("tune", "--library", library, "--undo")
    assert "The prompts, parsers and weights of the model." in told.stdout
    assert [hit["score"] for hit in answer()["hits"]] == [hit["score"] for hit in plain["hits"]]
    refused = run("tune", "--library", library, "--undo")
    assert refused.exit_code == 1 and "no search settings to undo" in refused.stderr
    prompts.write_text("{")
    assert "is not valid JSON" in run("tune", "--library", library, "--prompts", prompts).stderr


def test_a_library_or_a_machine_names_parsers_of_languages(
    built_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, library = write_clip(tmp_path / "mine"), tmp_path / "library"
    german = write_german(tmp_path / "german")
    assert run("index", built_world.videos, "--library", library, "--model", folder).exit_code == 0

    def counted() -> tuple[set[str], str]:
        found = run("search", "ein Hund jagt eine Katze", "--library", library, "--json")
        assert found.exit_code == 0, found.output
        answer = json.loads(found.stdout)
        weighed = answer["hits"][0]["levels"].items()
        return {name for name, level in weighed if level["weight"]}, answer["notes"][0]

    every = {"global", "entity", "action", "relation"}
    told = run("tune", "--library", library, "--parser", f"de={german}")
    assert told.exit_code == 0 and "Parsers set: de de_tiny-1.0.0-" in told.stdout
    levels, note = counted()
    assert levels == every and "The parser de_tiny-1.0.0-" in note
    assert run("tune", "--library", library, "--undo").exit_code == 0
    levels, note = counted()
    assert levels == {"global"} and "Only the global level" in note
    monkeypatch.setenv("QUARTET_PARSERS", f"de={german}")
    assert counted()[0] == every
    for given, said in (
        ("de", "Give a parser as LANGUAGE=PIPELINE"),
        ("en=en_core_web_sm", "English has the parser of the model"),
        ("fr=xx_gone", "'xx_gone' cannot be loaded"),
    ):
        refused = run("tune", "--library", library, "--parser", given)
        assert refused.exit_code == 1 and said in words(refused.stderr), refused.output
    monkeypatch.setenv("QUARTET_PARSERS", "german")
    refused = run("search", "red", "--library", library)
    assert refused.exit_code == 1 and "QUARTET_PARSERS" in refused.stderr


def test_models_are_listed_and_tried(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(models, write_clip, NAME)
    put(models, write_clip, "some/other")
    listed = json.loads(run("models", "--json").stdout)
    assert {model["name"]: model["prepared"] for model in listed["models"]}[NAME]
    assert listed["others_prepared"] == ["some/other"] and listed["available_memory"] > 0
    assert all(bool(model["source"]) == (model["recall"] is not None) for model in listed["models"])
    table = run("models")
    assert table.exit_code == 0 and "timm/PE-Core-B-16" in table.stdout and "quartet prepare MODEL" in table.stdout
    monkeypatch.setattr("service.cli.training.models.TRIAL_SECONDS", 0.01)
    tried = json.loads(run("models", "--try", NAME, "--device", "cpu", "--json").stdout)
    assert tried["frames_per_second"] > 0 and tried["texts_per_second"] > 0
    assert "quartet prepare" in run("models", "--try", "clip-ViT-L-14").stderr


def test_a_new_library_asks_which_model(built_world: World, tmp_path: Path, models: Path) -> None:
    for command in ("index", "watch"):
        refused = run(command, built_world.videos, "--library", tmp_path / "library")
        assert refused.exit_code == 1
        assert f"quartet prepare {NAME}" in refused.stderr
        assert "knows only the generated cartoon world" in refused.stderr
        assert not (tmp_path / "library").exists()
    put(models, write_clip, NAME)
    put(models, write_clip, "some/other")
    refused = run("index", built_world.videos, "--library", tmp_path / "library")
    assert "quartet prepare" not in refused.stderr and "some/other" in refused.stderr


def test_without_its_weights_nothing_starts(built_world: World, tmp_path: Path, models: Path) -> None:
    library = tmp_path / "library"
    refused = run("index", built_world.videos, "--library", library, "--model", NAME)
    assert refused.exit_code == 1 and refused.stderr.strip().endswith(f"Run: quartet prepare {NAME}")
    assert not library.exists()
    folder = put(models, write_clip, NAME)
    assert run("index", built_world.videos / "red.mp4", "--library", library, "--model", NAME).exit_code == 0
    folder.rename(tmp_path / "gone")
    for command in (("serve",), ("search", "red"), ("describe", built_world.videos / "red.mp4")):
        refused = run(*command, "--library", library)
        assert refused.exit_code == 1 and refused.stderr.strip().endswith(f"Run: quartet prepare {NAME}")


@pytest.mark.parametrize("unfreeze", [(), ("--unfreeze-text",)])
def test_training_on_top_and_back_into_the_index(
    built_world: World, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, unfreeze: tuple[str, ...]
) -> None:
    small = replace(
        presets.CLIP,
        model=replace(presets.CLIP.model, embed_dim=16, heads=2, attention_dim=8),
        train=replace(presets.CLIP.train, batch_size=4, epochs=1),
    )
    monkeypatch.setitem(presets.PRESETS, "clip", small)
    monkeypatch.setenv("QUARTET_TEXT_CACHE", str(tmp_path / "texts"))
    folder = put(models, write_clip, "some/clip")
    captions = tmp_path / "captions.jsonl"
    lines = [{"video": name, "captions": [text, f"the {name} one"]} for name, text in built_world.texts.items()]
    captions.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    out, library = tmp_path / "mine", tmp_path / "library"
    train = ("train", captions, "--videos", built_world.videos, "--model", "some/clip", "--out", out)
    trained = run(*train, *unfreeze)
    assert trained.exit_code == 0, trained.output
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert config["backbone"]["two_tower"] == "some/clip" and config["sentence_encoder"].startswith("two-tower")
    assert ("together with the text tower of some/clip" in config["note"]) == bool(unfreeze)
    assert (out / "model.safetensors").stat().st_size < 1_000_000  # the two-tower model is named, not copied
    kept = {name.split(".")[0] for name in load_file(out / "model.safetensors")}
    assert kept == ({"model", "text_tower"} if unfreeze else {"model"})
    other = run(*train, *(() if unfreeze else ("--unfreeze-text",)))
    assert other.exit_code == 1 and f"unfreeze_text was {bool(unfreeze)}, not {not unfreeze}" in other.stderr
    indexed = run("index", built_world.videos, "--library", library, "--model", out)
    assert indexed.exit_code == 0, indexed.output
    found = run("search", "a red square", "--library", library, "--model", out)
    assert found.exit_code == 0, found.output
    features = ("--features", out / "features.h5", "--model", out)
    measured = run("evaluate", captions, *features)
    assert measured.exit_code == 0, measured.output
    assert "R@1" in measured.stdout
    (folder / "merges.txt").write_text("another tokenizer", encoding="utf-8")
    write_record(folder, Record("some/clip", "some/clip", "b" * 40, hash_files_again(folder)))
    refused = run("search", "a red square", "--library", library, "--model", out)
    assert refused.exit_code == 1 and "has different files than before" in refused.stderr
    folder.rename(tmp_path / "gone")
    refused = run("search", "a red square", "--library", library, "--model", out)
    assert refused.exit_code == 1 and "Run: quartet prepare some/clip" in refused.stderr


def hash_files_again(folder: Path) -> dict[str, str]:
    """As after another revision was prepared."""
    (folder / "prepared.json").unlink()
    return hash_files(folder)


def test_what_sees_the_frames_is_named_once(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    refused = run("features", videos, "--out", tmp_path / "f.h5")
    assert refused.exit_code == 1 and "Give either --weights" in refused.stderr
    refused = run("features", videos, "--out", tmp_path / "f.h5", "--model", "some/clip")
    assert refused.exit_code == 1 and "Run: quartet prepare some/clip" in refused.stderr


@pytest.mark.parametrize(("device", "used"), [("cuda:1", True), ("cpu", False)])
def test_graphs_are_used_where_they_are_asked_for_and_there_is_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, used: bool
) -> None:
    given = {}
    monkeypatch.setattr("model.registry.resolve_device", lambda wanted: wanted)
    monkeypatch.setattr("model.two_tower.encoder.ClipEncoder", lambda *args, **options: given.update(options))
    monkeypatch.setattr("model.mcsan.encoder.McsanEncoder", lambda *args, **options: given.update(options))
    for model in (str(write_clip(tmp_path / "clip")), "demo"):
        given.clear()
        open_encoder(Settings(model=model, device=device, cuda_graphs=True))
        assert given["cuda_graphs"] is used
