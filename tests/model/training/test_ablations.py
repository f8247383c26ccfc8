"""The paper's ablations: what is left out is really gone, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.levels import LEVEL_NAMES
from model.mcsan.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from model.mcsan.config import LossConfig, ModelConfig
from model.mcsan.layers import unit
from model.mcsan.network import MCSAN
from model.training.compare.contestants import ABLATIONS, CONTESTANTS
from model.training.loop.mcsan_matcher import MCSANMatcher

SIZES = {"entity": 5, "action": 4, "relation": 3}
TINY = ModelConfig(24, 6, 12, 8, embed_dim=16, heads=2, attention_dim=8)
WITHOUT = replace(TINY, relation_level=False)


def encoded(model: MCSAN, rows: int) -> dict[str, torch.Tensor]:
    vectors = {name: torch.randn(rows, 8 if name == "global" else 16) for name in LEVEL_NAMES}
    return vectors if model.config.relation_level else vectors | {"relation": torch.zeros(rows, 16)}


def test_without_relations_three_levels_make_the_mean() -> None:
    torch.manual_seed(0)
    matcher = MCSANMatcher(MCSAN(WITHOUT, SIZES), LossConfig()).eval()
    model = matcher.model
    assert not [name for name, _ in model.named_parameters() if "relation" in name]
    video, text = encoded(model, 3), encoded(model, 2)
    scores = model.level_scores(unit(video), unit(text))
    mean = torch.stack([scores[name] for name in ("global", "entity", "action")]).mean(0)
    torch.testing.assert_close(matcher.scores(video, text), mean)
    weights = {spec.name: spec.weight for spec in model.level_specs()}
    assert weights.pop("relation") == 0
    assert all(weight == pytest.approx(4 / 3) for weight in weights.values())


def test_a_checkpoint_without_relations_loads_again(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vocabularies = {"entity": list("abcde"), "action": list("abcd"), "relation": list("abc")}
    model = MCSAN(WITHOUT, SIZES)
    save_checkpoint(tmp_path, Checkpoint("three", "A test.", model, None, vocabularies, "p", "s"))
    loaded = load_checkpoint(tmp_path).model
    assert loaded.config == WITHOUT
    assert loaded.state_dict().keys() == model.state_dict().keys()


def test_each_ablation_changes_one_thing() -> None:
    full = ABLATIONS["mcsan"]
    assert ABLATIONS["mcsan-no-relation"] == replace(full, model=replace(full.model, relation_level=False))
    assert ABLATIONS["mcsan-no-focal"] == replace(full, loss=replace(full.loss, focal="off"))
    no_statistics = ABLATIONS["mcsan-no-statistics"]
    assert (no_statistics.model, no_statistics.train) == (full.model, full.train)
    assert (no_statistics.loss.concept_weight, no_statistics.loss.kl_weight) == (0, 0)
    assert set(ABLATIONS) < set(CONTESTANTS)


def test_without_statistics_the_concept_heads_are_not_trained() -> None:
    matcher = MCSANMatcher(MCSAN(TINY, SIZES), LossConfig(concept_weight=0.0, kl_weight=0.0))
    assert not [name for name, p in matcher.named_parameters() if "concept" in name and p.requires_grad]
    whole = MCSANMatcher(MCSAN(TINY, SIZES), LossConfig())
    assert whole.size - matcher.size == sum((16 + 1) * size for size in SIZES.values()) + 3
