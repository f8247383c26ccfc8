"""Small real models for the tests of this folder."""

from pathlib import Path

import pytest
import torch

from model.mcsan.checkpoint import Checkpoint, save_checkpoint
from model.mcsan.config import ModelConfig
from model.mcsan.network import MCSAN
from model.vision.backbone_config import BackboneConfig
from model.vision.backbones import Backbone

VOCABULARIES = {"entity": ["dog", "cat"], "action": ["chase"], "relation": ["dog chase cat"]}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The folder of an untrained checkpoint that sees videos, for the parser and sentence encoder installed here."""
    from model.language.sentence_encoder import SentenceEncoder
    from model.language.spacy_parser import SpacyParser

    torch.manual_seed(0)
    backbone = Backbone(BackboneConfig("mobilenet_v3_small", (64, 64), "stretch")).eval()
    config = ModelConfig(backbone.feature_dim, frames=4, embed_dim=32, heads=2, attention_dim=16, bottleneck=32)
    model = MCSAN(config, {level: len(words) for level, words in VOCABULARIES.items()}).eval()
    made = Checkpoint("tiny", "A test.", model, backbone, VOCABULARIES, SpacyParser().name, SentenceEncoder.name)
    save_checkpoint(tmp_path / "tiny", made)
    return tmp_path / "tiny"
