"""Models that read texts and pictures in one network: the vectors of sentence-transformers, or a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import BertConfig, BertModel

from model.language.spacy_parser import SpacyParser
from model.levels import LEVEL_NAMES
from model.two_tower.encoder import ClipEncoder
from model.two_tower.sentence_encoder import TwoTowerSentences
from model.two_tower.towers import TwoTower
from quartet.errors import ModelError
from tests.every_two_tower import tiny_tokenizer
from tests.one_stream_models import write_one_stream

TEXTS = ["a dog", "two men are riding horses over the grass", "Ball!"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_one_stream(tmp_path_factory.mktemp("stream") / "model")


def test_vectors_are_those_of_sentence_transformers(folder: Path) -> None:
    tower, reference = TwoTower(folder), SentenceTransformer(str(folder), device="cpu")
    assert tower.network.class_name == "Qwen2VLModel"
    texts = torch.from_numpy(reference.encode(TEXTS, normalize_embeddings=True))
    torch.testing.assert_close(tower.texts(TEXTS), texts, atol=1e-5, rtol=1e-4)
    shapes = [(3, 40, 56, 3), (1, 64, 32, 3)]
    clips = [np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    for clip, rows in zip(clips, tower.features(clips), strict=True):
        pictures = reference.encode([Image.fromarray(frame) for frame in clip], normalize_embeddings=True)
        torch.testing.assert_close(rows, torch.from_numpy(pictures), atol=1e-5, rtol=1e-4)
    with pytest.raises(ModelError, match=r"Qwen2VLModel.*Train on top of it with --preset plus"):
        TwoTowerSentences(tower)


def test_it_searches_at_all_levels(folder: Path) -> None:
    encoder = ClipEncoder(folder, "tiny", parser=SpacyParser())
    clip = np.random.default_rng(0).integers(0, 256, (4, 40, 56, 3), dtype=np.uint8)
    gallery, queries = encoder.encode_clips([clip]), encoder.encode_texts(["a red dog chases a cat"]).vectors
    assert all(gallery[level].shape == queries[level].shape == (1, 32) for level in LEVEL_NAMES)
    assert all(queries[level].any() for level in LEVEL_NAMES)


def test_a_model_of_texts_alone_is_refused(tmp_path: Path) -> None:
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 300,
    }
    BertModel(BertConfig(**sizes)).save_pretrained(tmp_path / "base")
    tiny_tokenizer("BertTokenizer").save_pretrained(tmp_path / "base")
    transformer = Transformer(str(tmp_path / "base"))
    modules = [transformer, Pooling(transformer.get_embedding_dimension())]
    SentenceTransformer(modules=modules, device="cpu").save(str(tmp_path / "texts"))
    with pytest.raises(ModelError, match=r"\(BertModel\) reads text. It must read texts and images"):
        TwoTower(tmp_path / "texts")
