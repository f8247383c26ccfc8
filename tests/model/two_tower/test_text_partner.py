"""A multilingual model of texts, joined to the pictures of the model that it was trained for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from model.language.spacy_parser import SpacyParser
from model.levels import LEVEL_NAMES
from model.two_tower.encoder import ClipEncoder
from model.two_tower.sentence_encoder import TwoTowerSentences
from model.two_tower.towers import TwoTower
from quartet.errors import ModelError
from tests.text_partners import write_texts
from tests.two_towers import write_clip

TEXTS = ["ein Hund jagt eine Katze", "犬", "a dog chases a cat over the grass and much further than it can read " * 3]


def write_partners(folder: Path) -> Path:
    write_clip(folder / "pictures")
    write_texts(folder / "texts")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_partners(tmp_path_factory.mktemp("partners") / "model")


@pytest.mark.parametrize("frozen", [False, True])
def test_texts_are_those_of_one_model_and_pictures_those_of_the_other(folder: Path, frozen: bool) -> None:
    tower, pictures = TwoTower(folder), TwoTower(folder / "pictures")
    if frozen:
        tower, pictures = tower.freeze(), pictures.freeze()
    reference = SentenceTransformer(str(folder / "texts"), device="cpu")
    expected = torch.from_numpy(reference.encode(TEXTS, normalize_embeddings=True))
    torch.testing.assert_close(tower.texts(TEXTS), expected, atol=1e-5, rtol=1e-4)
    clip = np.random.default_rng(0).integers(0, 256, (3, 40, 56, 3), dtype=np.uint8)
    torch.testing.assert_close(tower.features([clip])[0], pictures.features([clip])[0], atol=1e-5, rtol=1e-4)
    assert tower.network.class_name == "CLIPModel with the texts of DistilBertModel"
    assert (tower.feature_dim, tower.centre) == (pictures.feature_dim, pictures.centre)
    assert set(tower.text_tower) == {"texts"}
    with pytest.raises(ModelError, match="Train on top of it with --preset plus"):
        TwoTowerSentences(tower)


def test_it_searches_at_all_levels(folder: Path) -> None:
    encoder = ClipEncoder(folder, "tiny", parser=SpacyParser())
    clip = np.random.default_rng(0).integers(0, 256, (4, 40, 56, 3), dtype=np.uint8)
    gallery, queries = encoder.encode_clips([clip]), encoder.encode_texts(["a red dog chases a cat"]).vectors
    assert all(gallery[level].shape == queries[level].shape == (1, 16) for level in LEVEL_NAMES)
    assert all(queries[level].any() for level in LEVEL_NAMES)


def test_a_model_for_other_pictures_is_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / "pictures")
    write_texts(tmp_path / "texts", width=20)
    with pytest.raises(ModelError, match="gives 16 values for a picture and 20 for a text"):
        TwoTower(tmp_path)
