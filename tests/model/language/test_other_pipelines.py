"""Other parsers than the bundled one: found by the name of their package, refused when they differ."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import spacy
import torch
from spacy.tokens import Doc
from spacy.training import Example

import model.mcsan.presets
from model.language.spacy_parser import BUNDLED_NAME, SpacyParser, load_parser, recorded_parser
from model.mcsan.checkpoint import load_checkpoint
from model.mcsan.config import TrainConfig
from model.mcsan.encoder import McsanEncoder
from model.training.data.caption_readers import read_captions
from model.training.data.feature_file import FeatureFile
from model.training.loop.feature_scores import scores_on_features
from model.training.loop.feature_training import train_on_features
from quartet.errors import InputError, ModelError

PACKAGE = "en_tiny"
VERSION = "1.2.3"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an installed pipeline package: untrained, but it tags and parses."""
    site = tmp_path / "site"
    nlp = spacy.blank("en", meta={"name": "tiny", "version": VERSION})
    gold = Doc(
        nlp.vocab,
        words=["a", "dog", "runs"],
        pos=["DET", "NOUN", "VERB"],
        heads=[1, 2, 2],
        deps=["det", "nsubj", "ROOT"],
    )
    nlp.add_pipe("morphologizer")
    nlp.add_pipe("parser")
    nlp.initialize(lambda: [Example(nlp.make_doc("a dog runs"), gold)])
    folder = site / PACKAGE
    data = folder / f"{PACKAGE}-{VERSION}"
    folder.mkdir(parents=True)
    nlp.to_disk(data)
    (folder / "meta.json").write_text(json.dumps(nlp.meta))
    (folder / "__init__.py").write_text(
        "from spacy.util import load_model_from_init_py\n"
        "def load(**overrides):\n"
        "    return load_model_from_init_py(__file__, **overrides)\n"
    )
    info = site / f"{PACKAGE}-{VERSION}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {VERSION}\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    return data


def test_a_recorded_name_finds_its_package(package: Path) -> None:
    parser = load_parser(PACKAGE)
    assert parser.name.startswith(f"{PACKAGE}-{VERSION}-")
    assert recorded_parser(parser.name, Path("mine")).name == parser.name
    assert parser.parse(["a dog runs"])[0].words == ("a", "dog", "runs")


def test_the_bundled_parser_has_a_name_too() -> None:
    bundled = load_parser()
    assert bundled.name.startswith(f"{BUNDLED_NAME}-")
    assert recorded_parser(bundled.name, Path("mine")).name == load_parser(BUNDLED_NAME).name == bundled.name


def test_other_files_or_no_files_are_refused(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = load_parser(PACKAGE).name
    (package / "README").write_text("changed")
    with pytest.raises(ModelError, match=rf"mine was trained with the parser {name}, but {PACKAGE}-{VERSION}-\w+ is"):
        recorded_parser(name, Path("mine"))
    with pytest.raises(ModelError, match="but the spaCy pipeline 'en_gone' is not installed"):
        recorded_parser("en_gone-1.0.0-0123456789ab", Path("mine"))


def test_a_folder_is_no_package(package: Path) -> None:
    with pytest.raises(InputError, match=r"The spaCy pipeline '.*' is not installed.*spacy package"):
        load_parser(str(package))


def test_pipelines_that_lack_a_part_are_refused(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.to_disk(tmp_path / "empty")
    with pytest.raises(ModelError, match="no dependency parser"):
        SpacyParser(tmp_path / "empty")
    gold = Doc(nlp.vocab, words=["a", "dog"], heads=[1, 1], deps=["det", "ROOT"])
    nlp.add_pipe("parser")
    nlp.initialize(lambda: [Example(nlp.make_doc("a dog"), gold)])
    nlp.to_disk(tmp_path / "untagged")
    with pytest.raises(ModelError, match="does not tag parts of speech"):
        SpacyParser(tmp_path / "untagged")


def test_training_records_the_parser_and_evaluation_loads_it(package: Path, tmp_path: Path) -> None:
    rows = [{"video": f"v{i}", "captions": [f"a dog runs {i}"], "split": "train"} for i in range(6)]
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, rows)))
    torch.manual_seed(0)
    with FeatureFile(tmp_path / "f.h5", writable=True) as file:
        for row in rows:
            file.add(row["video"], torch.randn(3, 8))
    demo = model.mcsan.presets.DEMO
    small = replace(
        demo,
        model=replace(demo.model, embed_dim=16, bottleneck=16, frames=3),
        train=TrainConfig(4, 1, "adamw", 1e-3, schedule="cosine"),
    )
    read = read_captions([tmp_path / "c.jsonl"])
    out = tmp_path / "mine"
    train_on_features(small, read, [tmp_path / "f.h5"], out, 0, lambda _: None, progress=False, parser=PACKAGE)
    assert load_checkpoint(out).parser == load_parser(PACKAGE).name
    scores_on_features(out, read.split("train"), [tmp_path / "f.h5"])
    (package / "README").write_text("changed")
    with pytest.raises(ModelError, match="Install the parser of the checkpoint, or train again"):
        scores_on_features(out, read.split("train"), [tmp_path / "f.h5"])


def test_the_encoder_loads_the_recorded_parser(package: Path, checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"parser": load_parser(PACKAGE).name}))
    encoder = McsanEncoder(checkpoint)
    assert encoder.featurizer.parser.name == load_parser(PACKAGE).name
