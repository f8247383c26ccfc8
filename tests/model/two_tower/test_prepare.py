"""Fetching models: a hub on this machine serves tiny ones, over HTTP as the real one does."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from model.registry import load_encoder, name_of_builder
from model.two_tower.download import prepare_model, wanted_files
from model.two_tower.prepared_models import KNOWN, find_prepared, prepared_names, read_record
from model.vision.recorded_sentences import load_sentences
from quartet.errors import InputError, ModelError
from tests.model_hub import COMMITS, Hub, model_hub
from tests.open_clip_models import write_open_clip
from tests.sentence_models import write_sentences
from tests.text_partners import write_texts
from tests.two_towers import write_clip, write_sentence_transformer


@pytest.fixture
def hub() -> Iterator[Hub]:
    with model_hub() as served:
        yield served


def test_a_model_is_fetched_pinned_and_then_used_offline(hub: Hub, tmp_path: Path) -> None:
    name = "clip-ViT-B-32"
    source = hub.repositories[KNOWN[name]] = write_sentence_transformer(tmp_path / "source")
    (source / "0_CLIPModel" / "pytorch_model.bin").write_bytes(b"not wanted")
    (source / "README.md").write_text("not wanted either", encoding="utf-8")
    models = tmp_path / "models"
    told: list[str] = []
    record = prepare_model(name, models, endpoint=hub.url, tell=told.append)
    assert (record.name, record.repository, record.revision) == (name, KNOWN[name], COMMITS["main"])
    assert told == [f"Fetching {KNOWN[name]} at {COMMITS['main']}: {len(record.files)} files."]
    folder = find_prepared(models, name)
    assert folder is not None and read_record(folder) == record
    for file, sha256 in record.files.items():
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == sha256
    assert "0_CLIPModel/model.safetensors" in record.files
    assert not any(file.endswith((".bin", ".md")) for file in record.files)
    assert [path.name for path in models.iterdir()] == [folder.name]  # nothing is left of the download
    fetched = len(hub.asked)
    assert load_encoder(name, "cpu", models).spec.name == name
    assert load_encoder(KNOWN[name], "cpu", models).spec.name == name
    assert prepare_model(name, models, endpoint=hub.url, tell=told.append) == record
    assert len(hub.asked) == fetched and told[-1].startswith(f"{name} is prepared")
    assert prepared_names(models) == [name]
    assert name_of_builder(name, models) == name and name_of_builder("unheard of", models) is None


def test_another_revision_replaces_the_first(hub: Hub, tmp_path: Path) -> None:
    hub.repositories["some/clip"] = write_clip(tmp_path / "source")
    first = prepare_model("some/clip", tmp_path / "models", endpoint=hub.url)
    second = prepare_model("some/clip", tmp_path / "models", "old", endpoint=hub.url)
    assert (first.revision, second.revision) == (COMMITS["main"], COMMITS["old"])
    assert all(COMMITS["old"] in path for path in hub.asked[-3:] if "/resolve/" in path)


@pytest.mark.parametrize(
    ("name", "revision", "said"),
    [
        ("nobody/nothing", None, "The hub has no model 'nobody/nothing'"),
        ("some/clip", "none", "some/clip has no revision 'none'"),
        ("nonsense", None, "There is no model 'nonsense'. Give a repository"),
    ],
)
def test_what_the_hub_does_not_have(hub: Hub, tmp_path: Path, name: str, revision: str | None, said: str) -> None:
    hub.repositories["some/clip"] = write_clip(tmp_path / "source")
    with pytest.raises(InputError, match=said):
        prepare_model(name, tmp_path / "models", revision, endpoint=hub.url)


def test_no_network_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"some/clip cannot be fetched: .* HF_ENDPOINT a mirror"):
        prepare_model("some/clip", tmp_path / "models", endpoint="http://127.0.0.1:9")


def test_a_model_of_one_tower_is_not_kept(hub: Hub, tmp_path: Path) -> None:
    source = hub.repositories["some/bert"] = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    (source / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="contains a BertModel, which has no tower for texts"):
        prepare_model("some/bert", tmp_path / "models", endpoint=hub.url)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_file_that_changed_is_named_with_the_way_back(hub: Hub, tmp_path: Path) -> None:
    hub.repositories["some/clip"] = write_clip(tmp_path / "source")
    prepare_model("some/clip", tmp_path / "models", endpoint=hub.url)
    folder = find_prepared(tmp_path / "models", "some/clip")
    assert folder is not None
    with (folder / "preprocessor_config.json").open("a") as file:
        file.write(" ")
    with pytest.raises(ModelError, match=f"quartet prepare some/clip --revision {COMMITS['main']}") as caught:
        load_encoder("some/clip", "cpu", tmp_path / "models")
    assert "preprocessor_config.json has changed since it was fetched" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("clip-ViT-B-32", "not on this machine. Run: quartet prepare clip-ViT-B-32$"),
        (
            "google/siglip-base",
            "There is no model 'google/siglip-base'.*run: quartet prepare google/siglip-base\\.",
        ),
    ],
)
def test_a_model_that_is_not_prepared_names_the_command(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        load_encoder(name, "cpu", tmp_path)


def test_which_files_are_fetched() -> None:
    published = [
        "README.md", "config.json", "tokenizer.json", "merges.txt", "spiece.model", "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "tf_model.h5",
        "onnx/model.onnx", "onnx/config.json",
    ]  # fmt: skip
    assert set(wanted_files(published)) == {*published[1:8]}
    assert wanted_files(["config.json", "pytorch_model.bin"]) == ["config.json", "pytorch_model.bin"]
    with pytest.raises(ModelError, match="no weights in a known layout"):
        wanted_files(["config.json", "model.gguf"])


def test_which_files_are_fetched_of_open_clip_and_of_one_stream() -> None:
    both = ["open_clip_config.json", "open_clip_model.safetensors", "open_clip_pytorch_model.bin", "tokenizer.json"]
    assert set(wanted_files(both)) == {*both} - {"open_clip_pytorch_model.bin"}
    twice = [*both, "config.json", "model.safetensors"]
    assert [name for name in wanted_files(twice) if name.endswith("safetensors")] == ["model.safetensors"]
    one_stream = [
        "modules.json",
        "model.safetensors",
        "1_Pooling/config.json",
        "chat_template.jinja",
        "onnx/config.json",
    ]
    assert set(wanted_files(one_stream)) == {*one_stream[:4]}


def test_gigabytes_are_not_fetched_of_a_model_that_cannot_be_used(hub: Hub, tmp_path: Path) -> None:
    source = hub.repositories["some/bert"] = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    (source / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="BertModel, which has no tower for texts"):
        prepare_model("some/bert", tmp_path / "models", endpoint=hub.url)
    assert not any("safetensors" in path and path.startswith("GET") for path in hub.asked)


@pytest.mark.filterwarnings("ignore::FutureWarning:timm", "ignore::DeprecationWarning")
def test_a_model_of_open_clip_is_prepared_and_used(hub: Hub, tmp_path: Path) -> None:
    pytest.importorskip("open_clip")
    hub.repositories["timm/tiny"] = write_open_clip(tmp_path / "source")
    record = prepare_model("timm/tiny", tmp_path / "models", endpoint=hub.url)
    assert set(record.files) == {"open_clip_config.json", "open_clip_model.safetensors"}
    assert load_encoder("timm/tiny", "cpu", tmp_path / "models").spec.name == "timm/tiny"


def test_a_model_of_texts_is_joined_to_its_pictures(hub: Hub, tmp_path: Path) -> None:
    name, models = "clip-ViT-B-32-multilingual-v1", tmp_path / "models"
    source = hub.repositories[KNOWN[name]] = write_texts(tmp_path / "texts")
    hub.repositories["some/texts"] = source
    hub.repositories[KNOWN["clip-ViT-B-32"]] = write_sentence_transformer(tmp_path / "pictures")
    weights = load_file(source / "2_Dense" / "model.safetensors")
    (source / "2_Dense" / "model.safetensors").unlink()
    torch.save(weights, source / "2_Dense" / "pytorch_model.bin")  # as published
    with pytest.raises(ModelError, match=r"reads text\. .*--pictures MODEL"):
        prepare_model("some/texts", models, endpoint=hub.url)
    assert list(models.iterdir()) == []
    record = prepare_model(name, models, endpoint=hub.url)
    assert prepared_names(models) == ["clip-ViT-B-32", name]
    assert {"texts/modules.json", "texts/2_Dense/pytorch_model.bin", "texts/model.safetensors"} <= set(record.files)
    assert {"pictures/0_CLIPModel/model.safetensors", "pictures/prepared.json"} <= set(record.files)
    assert load_encoder(name, "cpu", models).spec.name == name
    other = prepare_model("some/texts", models, pictures="clip-ViT-B-32", endpoint=hub.url)
    assert set(other.files) == set(record.files)


def test_a_model_of_speech_is_prepared_and_is_none_of_two_towers(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = hub.repositories[KNOWN["faster-whisper-base"]] = tmp_path / "whisper"
    source.mkdir()
    for name in ("config.json", "vocabulary.txt", "tokenizer.json", "model.bin"):
        (source / name).write_text("{}", encoding="utf-8")
    models = tmp_path / "models"
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(InputError, match="needs faster-whisper"):
        prepare_model("faster-whisper-base", models, endpoint=hub.url)
    assert not any("model.bin" in path and path.startswith("GET") for path in hub.asked)
    assert list(models.iterdir()) == []
    loaded: list[str] = []
    stub = SimpleNamespace(WhisperModel=lambda folder, **options: loaded.append(folder))
    monkeypatch.setitem(sys.modules, "faster_whisper", stub)
    record = prepare_model("faster-whisper-base", models, endpoint=hub.url)
    assert set(record.files) == {"config.json", "vocabulary.txt", "tokenizer.json", "model.bin"} and len(loaded) == 1
    assert find_prepared(models, "faster-whisper-base") is not None and prepared_names(models) == []


def test_a_model_of_sentences_is_prepared_for_captions_and_is_none_for_search(hub: Hub, tmp_path: Path) -> None:
    name, models = "some/sentences", tmp_path / "models"
    hub.repositories[name] = write_sentences(tmp_path / "source")
    with pytest.raises(ModelError, match=r"reads text\. .*quartet prepare MODEL --sentences"):
        prepare_model(name, models, endpoint=hub.url)
    assert list(models.iterdir()) == []
    with pytest.raises(InputError, match="or run: quartet prepare some/sentences --sentences"):
        load_sentences(name, models)
    record = prepare_model(name, models, sentences=True, endpoint=hub.url)
    assert {"modules.json", "model.safetensors", "1_Pooling/config.json"} <= set(record.files)
    fetched = len(hub.asked)
    sentences = load_sentences(name, models)
    assert (sentences.dim, len(hub.asked)) == (12, fetched)
    assert sentences.name.startswith("sentence-transformers some/sentences@")
    assert prepare_model(name, models, sentences=True, endpoint=hub.url) == record
    assert prepared_names(models) == []
    with pytest.raises(InputError, match="some/sentences is prepared for captions"):
        prepare_model(name, models, endpoint=hub.url)
    with pytest.raises(InputError, match="needs no pictures"):
        prepare_model("some/other", models, pictures="some/clip", sentences=True, endpoint=hub.url)


def test_what_cannot_read_captions_is_not_prepared_for_them(hub: Hub, tmp_path: Path) -> None:
    models = tmp_path / "models"
    hub.repositories["some/clip"] = write_clip(tmp_path / "clip")
    hub.repositories["some/narrow"] = write_texts(tmp_path / "texts")
    hub.repositories["some/code"] = write_sentences(tmp_path / "code")
    (tmp_path / "code" / "model" / "modules.json").write_text('[{"type": "os.path", "path": ""}]', encoding="utf-8")
    for name, said in (
        ("some/clip", "not a model of sentence-transformers"),
        ("some/narrow", "width 24 for words and 16 for sentences"),
        ("some/code", "contains code, which Quartet never runs: 'os.path'"),
    ):
        with pytest.raises(ModelError, match=said):
            prepare_model(name, models, sentences=True, endpoint=hub.url)
        assert list(models.iterdir()) == []
    with pytest.raises(ModelError, match="contains code"):
        load_sentences(str(tmp_path / "code" / "model"))
