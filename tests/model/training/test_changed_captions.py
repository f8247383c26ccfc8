"""Captions with one thing changed as negatives: what a batch has of them, and which level each pushes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.language.sentence_encoder import EncodedText
from model.language.spacy_parser import SpacyParser
from model.mcsan.config import LossConfig, ModelConfig, Preset, TrainConfig
from model.mcsan.presets import PLUS
from model.mcsan.text_features import TextFeatures
from model.training.compare.comparison import Plan
from model.training.data.batches import ChangedBatch, PairBatch, Pairs
from model.training.data.dataset import VideoText
from model.training.loop.feature_training import with_changes
from model.training.loop.mcsan_matcher import CHANGED_LEVEL, MCSANMatcher, mcsan_matcher
from model.training.loop.single_run import vocabularies_of

CAPTIONS = [
    "a big dog chases a red ball",
    "a small cat pushes a green car",
    "a red bird follows a big truck",
    "a green robot pulls a small box",
]
W, D = 8, 6


@pytest.fixture(scope="module")
def data() -> VideoText:
    parser = SpacyParser()

    def featurize(texts: Sequence[str]) -> list[TextFeatures]:
        found = []
        for parse in parser.parse(list(texts)):
            rng = np.random.default_rng(list(parse.text.encode()))
            vectors = rng.standard_normal((len(parse.words), W)).astype(np.float16)
            found.append(TextFeatures(parse, EncodedText(vectors.mean(0).astype(np.float32), vectors)))
        return found

    generator = torch.Generator().manual_seed(0)
    features = torch.randn(4, 3, D, generator=generator)
    plain = VideoText(features, torch.ones(4, 3, dtype=torch.bool), featurize(CAPTIONS), np.arange(4))
    return with_changes(plain, featurize)


def matcher(data: VideoText, weight: float) -> MCSANMatcher:
    config = ModelConfig(
        feature_dim=D, word_dim=W, sentence_dim=W, embed_dim=8, heads=2, attention_dim=8, dropout=0.0, node_dropout=0.0
    )
    loss = LossConfig(ranking="infonce", fused_ranking=0.0, level_ranking=1.0, hard_negatives=weight)
    torch.manual_seed(0)
    return mcsan_matcher(Preset(config, loss), data, vocabularies_of(data, TrainConfig()))


def batch(data: VideoText) -> PairBatch:
    torch.manual_seed(1)
    return Pairs(data, vocabularies_of(data, TrainConfig())).collate([2, 0, 3, 1])


def test_a_batch_has_one_change_of_every_caption(data: VideoText) -> None:
    assert data.changed is not None
    assert {kind for own in data.changed.made.values() for kind, _ in own} == set(CHANGED_LEVEL)
    drawn = batch(data).changed
    assert drawn is not None and drawn.rows.tolist() == [0, 1, 2, 3]
    for caption, words, kind in zip((2, 0, 3, 1), drawn.text.tokens, drawn.kinds, strict=True):
        made = {known: data.changed.texts[place].parse.words for known, place in data.changed.made[caption]}
        assert made[kind] == words != tuple(CAPTIONS[caption].split())
    assert (
        Pairs(replace(data, changed=None), {name: [] for name in ("entity", "action", "relation")}).collate([0]).changed
        is None
    )


def test_a_change_pushes_its_own_level_and_no_other(data: VideoText) -> None:
    one, whole = matcher(data, 0.5), batch(data)
    assert data.changed is not None
    for kind, level in CHANGED_LEVEL.items():
        made = [(row, place) for row in range(4) for known, place in data.changed.made[row] if known == kind]
        texts = one.collate_text([data.changed.texts[place] for _, place in made])
        only = replace(whole, changed=ChangedBatch(torch.tensor([row for row, _ in made]), [kind] * len(made), texts))
        video, text = one.encode_video(whole.features, whole.frame_mask), one.encode_text(whole.text)
        for vectors in video.values():
            vectors.retain_grad()
        one.own_terms(video, text, only)["changed"].backward()
        moved = {name for name, vectors in video.items() if vectors.grad is not None and vectors.grad.any()}
        assert moved == {level}


def test_the_term_falls_as_captions_lead(data: VideoText) -> None:
    one, whole = matcher(data, 0.5), batch(data)
    optimizer = torch.optim.Adam(one.parameters(), 0.01)
    before = one.losses(whole)["changed"].item()
    for _ in range(20):
        optimizer.zero_grad()
        one.losses(whole)["changed"].backward()
        optimizer.step()
    assert one.losses(whole)["changed"].item() < before / 2
    assert "changed" not in matcher(data, 0.0).losses(whole)


def test_compare_changes_captions_for_the_model_that_asks() -> None:
    plan = Plan(("plus", "plus-changed"))
    assert [plan.changes_captions(name) for name in plan.models] == [False, True]
    assert PLUS.loss.hard_negatives == 0
