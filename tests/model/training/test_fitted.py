"""What training takes from the data: input dropout, the weights of levels; and the dropout that goes with them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.evaluation.scores import LevelScores
from model.language.parsed_caption import Attributes, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.levels import LEVEL_NAMES, LevelSpec
from model.mcsan.checkpoint import Checkpoint, save_checkpoint
from model.mcsan.checkpoint_identity import WEIGHTS_FILE
from model.mcsan.concept_heads import ConceptReader
from model.mcsan.config import LossConfig, ModelConfig, Preset, TrainConfig
from model.mcsan.linear_parts import CONCEPT_LEVELS, LinearParts
from model.mcsan.losses import contrast, info_nce
from model.mcsan.network import MCSAN
from model.mcsan.text_features import TextFeatures
from model.mcsan.video_tower import VideoTower
from model.training.data.dataset import VideoText
from model.training.fitting import concept_fit, level_weights
from model.training.fitting.input_dropout import RATES, fitting_input_dropout
from model.training.fitting.level_weights import fit_level_weights
from model.training.loop.mcsan_matcher import MCSANMatcher
from model.training.loop.single_run import fit


def level_scores(noise: dict[str, float], videos: int = 60, per_video: int = 3) -> tuple[LevelScores, np.ndarray]:
    """Unit vectors of videos, and of texts that are their video's plus noise of the given size, by level."""
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(videos), per_video)
    unit = lambda x: (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)  # noqa: E731
    clips = {name: unit(rng.standard_normal((videos, 8))) for name in noise}
    texts = {n: unit(clips[n][owner] + size * rng.standard_normal((len(owner), 8))) for n, size in noise.items()}
    return LevelScores([LevelSpec(name, 8) for name in noise], texts, clips), owner


def test_a_level_that_knows_nothing_gets_little_weight() -> None:
    scores, owner = level_scores({"global": 0.4, "entity": 0.4, "action": 50.0, "relation": 0.8})
    weights = dict(zip(scores.levels, fit_level_weights(scores, owner).exp().tolist(), strict=True))
    assert weights["action"] < 0.5 * weights["relation"]
    assert weights["relation"] < weights["global"]
    assert weights["global"] == pytest.approx(weights["entity"], rel=0.5)


def test_level_weights_of_videos_that_have_several_clips() -> None:
    scores, owner = level_scores({"global": 0.4, "entity": 0.6, "action": 50.0, "relation": 0.8})
    twice = {name: np.repeat(rows, 2, axis=0) for name, rows in scores.clips.items()}
    several = replace(scores, clips=twice, counts=np.full(60, 2))
    torch.testing.assert_close(fit_level_weights(several, owner), fit_level_weights(scores, owner))


def test_level_weights_are_the_same_again_and_stand_absent_levels() -> None:
    scores, owner = level_scores({"global": 0.4, "entity": 0.6, "action": 0.6, "relation": 0.8})
    scores.text_queries["action"][::2] = 0
    scores.text_queries["relation"][:] = 0
    first = fit_level_weights(scores, owner)
    assert torch.isfinite(first).all() and first.mean().abs() < 1e-6
    torch.testing.assert_close(first, fit_level_weights(scores, owner), rtol=0, atol=0)


def test_contrast_of_one_text_a_video_is_symmetric_info_nce() -> None:
    torch.manual_seed(0)
    scores = torch.randn(5, 5).double()
    every = torch.ones(5, 5, dtype=torch.bool)
    torch.testing.assert_close(contrast(scores / 0.1, torch.arange(5)), info_nce(scores, every, 0.1))


def test_contrast_with_several_texts_is_what_loops_give() -> None:
    torch.manual_seed(1)
    logits, owner = torch.randn(3, 5).double(), torch.tensor([0, 0, 1, 2, 2])
    to_video = [-float(logits[v, t] - logits[:, t].logsumexp(0)) for t, v in enumerate(owner.tolist())]
    to_text = []
    for t, v in enumerate(owner.tolist()):
        among = [float(logits[v, j]) for j in range(5) if j == t or owner[j] != v]
        to_text.append(np.log(np.exp(among).sum()) - float(logits[v, t]))
    assert contrast(logits, owner).item() == pytest.approx((np.mean(to_video) + np.mean(to_text)) / 2)


def dataset(videos: int, noise: float, seed: int = 0) -> VideoText:
    """Two-frame clips whose features are a linear map of what their two captions say, plus noise."""
    rng = np.random.default_rng(seed)
    said = rng.standard_normal((videos, 6))
    seen = said @ rng.standard_normal((6, 20)) + noise * rng.standard_normal((videos, 20))
    features = [torch.from_numpy(np.stack([row, row])).float() for row in seen]
    words = np.zeros((1, 4), np.float16)
    texts = [
        [TextFeatures(ParsedCaption(f"x{i}", ("x",), ((0, 1),)), EncodedText(row.astype(np.float32), words))] * 2
        for i, row in enumerate(said)
    ]
    return VideoText.build(features, texts)


def test_few_noisy_videos_ask_for_more_dropout_than_many_clear_ones() -> None:
    few, many = fitting_input_dropout(dataset(30, 12.0)), fitting_input_dropout(dataset(400, 0.1))
    assert many == RATES[0]
    assert few > many


def test_clip_dropout_hides_the_same_features_in_all_frames_of_a_clip() -> None:
    config = ModelConfig(16, 4, 4, 4, embed_dim=4, heads=1, input_dropout=0.5, clip_dropout=True, level_fc=False)
    tower = VideoTower(config).train()
    torch.manual_seed(0)
    frames, mask = torch.ones(2, 3, 16), torch.tensor([[True, True, True], [True, True, False]])
    seen = tower._seen("entity", frames, mask)
    assert set(seen[mask].unique().tolist()) == {0.0, 2.0}  # what is left is doubled: its expectation stays
    assert (seen[0] == seen[0, 0]).all() and (seen[1, :2] == seen[1, 0]).all()
    assert not torch.equal(seen[0, 0], seen[1, 0])
    assert not torch.equal(tower._seen("action", frames, mask), seen)
    assert (tower.eval()._seen("entity", frames, mask)[mask] == 1).all()


def test_training_draws_some_frames_in_order() -> None:
    config = ModelConfig(1, 8, 4, 4, embed_dim=4, heads=1, train_frames=3, frame_dropout=0.5)
    tower = VideoTower(config).train()
    torch.manual_seed(0)
    mask = torch.arange(8) < torch.tensor([[8], [1]])
    features = (torch.arange(1, 9).float() * mask).unsqueeze(-1)
    counts = set()
    for _ in range(30):
        drawn, kept = tower._draw_frames(features, mask)
        values = drawn[0, kept[0], 0]
        assert 1 <= len(values) <= 3 and (values.diff() > 0).all() and (values > 0).all()
        assert (kept[0].int().diff() <= 0).all()
        assert drawn[1, kept[1], 0].tolist() == [1.0]
        counts.add(len(values))
    assert counts == {1, 2, 3}


def test_a_model_of_levels_apart_learns_and_keeps_its_fitted_weights(tmp_path: Path) -> None:
    data = dataset(24, 0.1)
    model = ModelConfig(
        20, 2, 4, 6, embed_dim=8, heads=2, attention_dim=4, dropout=0.0, clip_dropout=True, level_fc=False,
        video_global="mean", action_pool="change", projection=True, text_global_fc=True, standardise=True,
    )  # fmt: skip
    loss = LossConfig(ranking="infonce", fused_ranking=0.0, level_ranking=1.0, kl_weight=0.0)
    training = TrainConfig(
        batch_size=8, epochs=8, optimizer="adamw", learning_rate=3e-3, fit_dropout=True, fit_weights=True
    )
    fitted, _, history = fit(Preset(model, loss, training), data, data, tmp_path, seed=0, progress=False)
    assert fitted.config.input_dropout == fitting_input_dropout(data)
    assert history[-1]["fused"].sum_r > 1.5 * history[0]["relation"].sum_r
    # Captions without nouns or verbs and with one and the same word: only the global level can tell them apart.
    weights = dict(zip(LEVEL_NAMES, fitted.level_weights().tolist(), strict=True))
    assert weights["global"] == max(weights.values()) > 1.0
    assert replace(fitted.config, input_dropout=0.0) == replace(model, input_dropout=0.0)


def test_what_a_clip_shows_is_read_from_all_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the global level alone knows the verb: a head of the action level could not learn it."""
    scores, _ = level_scores(dict.fromkeys(LEVEL_NAMES, 0.1))
    clips = scores.clips
    there = clips["global"][:, :1] > 0
    labels = dict.fromkeys(CONCEPT_LEVELS, torch.from_numpy(there))
    monkeypatch.setattr(concept_fit, "encode_videos", lambda *_: clips)
    monkeypatch.setattr(concept_fit, "concept_labels", lambda *_: ({}, labels))
    config = ModelConfig(20, 2, 6, 8, embed_dim=8, heads=2, attention_dim=4, fitted_concepts=True)
    model, known = MCSAN(config, dict.fromkeys(CONCEPT_LEVELS, 1)), {name: ["spin"] for name in CONCEPT_LEVELS}
    concept_fit.fit_concepts(model, dataset(24, 0.1), known)
    save_checkpoint(tmp_path, Checkpoint("x", "", model, None, known, "parser", "sentences"))
    heads = LinearParts.read(tmp_path / WEIGHTS_FILE, config, known).heads
    heads = {name: replace(head, least=0.0, rivalry=0.0) for name, head in heads.items()}
    shown = ConceptReader(heads)(clips, [Attributes([], ["spin"])] * len(there))
    assert np.mean([bool(own.action) == seen for own, seen in zip(shown, there[:, 0], strict=True)]) > 0.95


def test_measuring_does_not_fit_unless_it_is_asked_to() -> None:
    """Weights belong to the validation data: fitted again to the test data, they would flatter the test."""
    data = dataset(24, 0.1)
    model = MCSAN(ModelConfig(20, 2, 4, 6, embed_dim=8, heads=2, attention_dim=4), dict.fromkeys(CONCEPT_LEVELS, 1))
    matcher = MCSANMatcher(model, LossConfig(), fit_weights=True)
    matcher.measure(data)
    assert not model.log_weights.any()
    matcher.measure(data, fit=True)
    assert model.log_weights.any()


def test_fitting_to_many_videos_looks_at_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, owner = level_scores({"global": 0.4, "entity": 0.6, "action": 50.0, "relation": 0.8}, videos=60)
    whole = fit_level_weights(scores, owner)
    monkeypatch.setattr(level_weights, "MAX_VIDEOS", 20)
    monkeypatch.setattr(level_weights, "MAX_TEXTS", 30)
    seen = []
    block = LevelScores.block
    monkeypatch.setattr(LevelScores, "block", lambda self, *rows: seen.append(self.shape) or block(self, *rows))
    part = fit_level_weights(scores, owner)
    assert seen[0][0] == 30 and 20 <= seen[0][1] <= 50
    assert part.argmin() == whole.argmin() == 2
    several = replace(
        scores, clips={name: np.repeat(rows, 2, axis=0) for name, rows in scores.clips.items()}, counts=np.full(60, 2)
    )
    torch.testing.assert_close(fit_level_weights(several, owner), part)
