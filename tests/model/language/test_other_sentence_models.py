"""Any model of sentence-transformers reads the captions, and a checkpoint knows which one did."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from model.language.sentence_encoder import SentenceEncoder, encode_captions
from model.language.spacy_parser import SpacyParser
from model.mcsan.checkpoint import load_checkpoint
from model.mcsan.config import TrainConfig
from model.mcsan.presets import PLUS
from model.training.data.caption_readers import CaptionSet
from model.training.data.dataset import CaptionedVideo
from model.training.data.feature_file import FeatureFile
from model.training.loop.feature_scores import scores_on_features
from model.training.loop.feature_training import train_on_features
from model.vision.recorded_sentences import load_sentences
from quartet.errors import InputError, ModelError
from tests.sentence_models import WIDTH, write_sentences


def test_its_vectors_are_those_of_sentence_transformers(tmp_path: Path) -> None:
    folder = write_sentences(tmp_path)
    sentences = load_sentences(str(folder))
    texts = ["a dog chases the cat", "the cat sleeps"]
    found = encode_captions(sentences, SpacyParser().parse(texts))
    model = SentenceTransformer(str(folder), device="cpu")
    expected = model.encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(np.stack([one.sentence for one in found]), expected, atol=1e-5)
    tokens = model.encode(texts, output_value="token_embeddings")
    np.testing.assert_allclose(found[1].words, tokens[1][1:-1].numpy(), atol=5e-3)
    assert sentences.dim == WIDTH and sentences.name.startswith(f"sentence-transformers {folder.resolve()}@")
    assert SentenceEncoder.name.startswith("all-MiniLM")


def test_a_checkpoint_goes_with_the_model_that_read_its_captions(tmp_path: Path) -> None:
    folder = write_sentences(tmp_path / "one")
    with FeatureFile(tmp_path / "f.h5", writable=True) as file:
        for name in "abcd":
            file.add(name, torch.randn(2, 6))
    said = ("a dog runs", "the cat sleeps", "a dog chases the cat", "the dog sleeps")
    videos = tuple(CaptionedVideo(name, (text,)) for name, text in zip("abcd", said, strict=True))
    small = replace(PLUS, model=replace(PLUS.model, embed_dim=8, heads=2), train=TrainConfig(4, 1))
    arguments = (small, CaptionSet(videos), [tmp_path / "f.h5"], tmp_path / "mine", 0, print)
    train_on_features(*arguments, progress=False, sentence_model=str(folder), cache=tmp_path / "texts")
    checkpoint = load_checkpoint(tmp_path / "mine")
    assert checkpoint.model.config.sentence_dim == checkpoint.model.config.word_dim == WIDTH
    assert checkpoint.sentence_encoder == load_sentences(str(folder)).name
    scores_on_features(tmp_path / "mine", videos, [tmp_path / "f.h5"])

    (folder / "modules.json").rename(folder / "away.json")
    with pytest.raises(ModelError, match=r"needs its sentence encoder. There is no sentence model"):
        scores_on_features(tmp_path / "mine", videos, [tmp_path / "f.h5"])
    (folder / "away.json").rename(folder / "modules.json")
    settings = folder / "sentence_bert_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"max_seq_length": 8}))
    with pytest.raises(ModelError, match=r"was trained with the sentence encoder .*, but .* is installed here"):
        scores_on_features(tmp_path / "mine", videos, [tmp_path / "f.h5"])


def test_what_cannot_read_captions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no sentence model 'nowhere'"):
        load_sentences("nowhere")
    with pytest.raises(ModelError, match="width 12 for words and 5 for sentences"):
        load_sentences(str(write_sentences(tmp_path / "wide", dense=5)))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "modules.json").write_text("[]")
    with pytest.raises(ModelError, match=r"cannot be loaded|holds no transformer"):
        load_sentences(str(tmp_path / "broken"))
