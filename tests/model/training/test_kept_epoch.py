"""Which epoch a run ends with, and dropout in every head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from model.baselines.vse import VSE
from model.language.parsed_caption import Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.mcsan.config import ModelConfig, TrainConfig
from model.mcsan.text_features import TextFeatures
from model.mcsan.video_tower import VideoTower
from model.training.data.dataset import VideoText
from model.training.loop.baseline_matcher import BaselineMatcher
from model.training.loop.run_record import kept_epoch
from model.training.loop.single_run import fit_matcher, vocabularies_of

D, W = 6, 8


def data(seed: int) -> VideoText:
    """Ten videos without anything in common with their captions: validation goes up and down."""
    rng = np.random.default_rng(seed)
    texts = []
    for i in range(10):
        words = rng.standard_normal((2, W)).astype(np.float16)
        parse = ParsedCaption(f"{seed} {i}", ("a", "b"), ((0, 1),) * 2, (Node("noun", (0,), "a", 1),))
        texts.append([TextFeatures(parse, EncodedText(words.mean(0).astype(np.float32), words))])
    return VideoText.build([torch.from_numpy(rng.standard_normal((2, D)).astype(np.float32)) for _ in range(10)], texts)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_run_ends_with_the_epoch_that_its_configuration_names(keep: Literal["best", "last"], tmp_path: Path) -> None:
    torch.manual_seed(0)
    train, validation = data(0), data(1)
    config = TrainConfig(5, 6, learning_rate=1e-2, keep=keep)
    matcher = BaselineMatcher(VSE(D, W, hardest=True, dim=8))
    vocabularies = vocabularies_of(train, config)
    history = fit_matcher(matcher, config, train, validation, vocabularies, tmp_path, 0, progress=False)
    sums = [epoch["fused"].sum_r for epoch in history]
    assert max(sums) > sums[-1], "this test needs a run whose last epoch is not its best"
    measured, _ = matcher.measure(validation)
    assert measured["fused"].sum_r == pytest.approx(sums[-1] if keep == "last" else max(sums))
    assert kept_epoch(history, keep) == (5 if keep == "last" else sums.index(max(sums)))


def test_dropout_reaches_every_head_but_the_global_one() -> None:
    torch.manual_seed(0)
    plain = ModelConfig(D, 4, W, W, embed_dim=8, heads=2, dropout=0.0, video_global="gru")
    tower = VideoTower(replace(plain, head_dropout=0.5)).train()
    clip, mask = torch.randn(1, 4, D), torch.ones(1, 4, dtype=torch.bool)
    first, second = tower(clip, mask), tower(clip, mask)
    assert [name for name in first if torch.equal(first[name], second[name])] == ["global"]
    tower.eval()
    assert all(torch.equal(a, b) for a, b in zip(tower(clip, mask).values(), tower(clip, mask).values(), strict=True))
