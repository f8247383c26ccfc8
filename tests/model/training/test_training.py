"""The trainer on a toy world: it learns, keeps the best epoch, repeats itself, and says when a level dies."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from model.evaluation.metrics import Retrieval
from model.language.parsed_caption import Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.mcsan.config import LossConfig, ModelConfig, Preset, TrainConfig
from model.mcsan.network import MCSAN
from model.mcsan.text_features import TextFeatures
from model.mcsan.video_tower import VideoTower
from model.training.data.batches import Pairs
from model.training.data.dataset import VideoText
from model.training.loop import trainer as trainer_module
from model.training.loop.mcsan_matcher import MCSANMatcher
from model.training.loop.single_run import fit
from model.training.loop.validation import validate

KINDS, VERBS = ("dog", "cat", "car", "ball"), ("run", "jump", "spin")
TOY = Preset(
    model=ModelConfig(
        12, 5, 6, 6, embed_dim=16, heads=2, attention_dim=8, dropout=0.0, node_dropout=0.0, projection=True
    ),
    loss=LossConfig("infonce", level_ranking=0.5),
    train=TrainConfig(16, 12, "adamw", 1e-2, schedule="cosine", clip_norm=1.0),
)


def toy_data(videos: int, seed: int) -> VideoText:
    """A video shows one of four things doing one of three; its two captions say which."""
    world, rng = np.random.default_rng(99), np.random.default_rng(seed)
    seen = world.standard_normal((len(KINDS) + len(VERBS), 12))
    said = world.standard_normal((len(KINDS) + len(VERBS), 6))
    features, texts = [], []
    for _ in range(videos):
        k, v = int(rng.integers(len(KINDS))), int(rng.integers(len(VERBS)))
        frames = seen[k] + seen[len(KINDS) + v] + 0.2 * rng.standard_normal((5, 12))
        features.append(torch.from_numpy(frames.astype(np.float32)))
        own = []
        for _ in range(2):
            words = np.stack([said[k], said[len(KINDS) + v]]) + 0.1 * rng.standard_normal((2, 6))
            sentence = (words.sum(0) / np.linalg.norm(words.sum(0))).astype(np.float32)
            nodes = (Node("noun", (0,), KINDS[k], 1), Node("verb", (1,), VERBS[v], 0))
            name = f"{KINDS[k]} {VERBS[v]} {rng.integers(10**9)}"
            parse = ParsedCaption(name, (KINDS[k], VERBS[v]), ((0, 1), (1, 2)), nodes, ((1, 0),))
            own.append(TextFeatures(parse, EncodedText(sentence, words.astype(np.float16))))
        texts.append(own)
    return VideoText.build(features, texts)


def run(folder: Path, config: Preset = TOY, seed: int = 0) -> tuple[MCSAN, list[dict[str, Retrieval]]]:
    model, _, history = fit(config, toy_data(64, 0), toy_data(24, 1), folder, seed, progress=False)
    return model, history


def test_training_learns_every_level_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    model, history = run(tmp_path)
    assert len(history) == 12
    assert history[-1]["fused"].sum_r > history[0]["fused"].sum_r
    best = max(epoch["fused"].sum_r for epoch in history)
    results, spread = validate(model, toy_data(24, 1))
    assert results["fused"].sum_r == pytest.approx(best)
    # Two dozen videos: a random order would find 42% among the first ten.
    assert all(history[-1][level].text_to_video.r10 > 90 for level in ("global", "entity", "action", "relation"))
    assert min(spread.values()) > 0.05
    assert (tmp_path / "metrics.csv").is_file()


def test_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    short = replace(TOY, train=replace(TOY.train, epochs=2))
    (first, a), (second, b) = (run(tmp_path / name, short, seed=7) for name in "ab")
    assert [e["fused"] for e in a] == [e["fused"] for e in b]
    for one, two in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_videos_with_few_captions_are_trained_for_more_epochs(tmp_path: Path) -> None:
    """Each of the videos has two captions."""
    _, history = run(tmp_path, replace(TOY, train=replace(TOY.train, epochs=1, views=5)))
    assert len(history) == 3


def test_pairs_of_one_video_and_equal_captions_are_no_negatives() -> None:
    data = toy_data(3, 0)
    data.texts[4] = TextFeatures(data.texts[2].parse, data.texts[4].encoded)
    pairs = Pairs(data, {"entity": ["dog"], "action": ["run"], "relation": []})
    batch = pairs.collate([0, 1, 2, 4])
    assert batch.negatives.tolist() == [
        [False, False, True, True],
        [False, False, True, True],
        [True, True, False, False],
        [True, True, False, False],
    ]


@pytest.mark.parametrize("ranking", ["hardest", "sum", "infonce"])
def test_every_objective_reaches_every_parameter(ranking: str) -> None:
    config = replace(TOY, loss=replace(TOY.loss, ranking=ranking, kl_symmetric=True))
    data = toy_data(16, 0)
    torch.manual_seed(0)
    matcher = MCSANMatcher(MCSAN(config.model, {"entity": 4, "action": 3, "relation": 1}), config.loss)
    pairs = Pairs(data, {"entity": list(KINDS), "action": list(VERBS), "relation": []})
    losses = matcher.losses(pairs.collate(range(0, 32, 2)))
    assert set(losses) == {"rank", "level_rank", "concepts", "kl"}
    torch.stack(list(losses.values())).sum().backward()
    idle = {n for n, p in matcher.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())}
    # This bias adds the same to every frame, which the softmax cancels: rounding decides whether its gradient is 0.
    assert idle <= {"model.video.pool.global.attend.bias"}


def test_a_dead_level_is_reported_after_every_epoch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = VideoTower.forward

    def constant(self: VideoTower, features: Tensor, mask: Tensor) -> dict[str, Tensor]:
        vectors = forward(self, features, mask)
        return vectors | {"relation": torch.zeros_like(vectors["relation"]) + 1.0}

    monkeypatch.setattr(VideoTower, "forward", constant)
    short = replace(TOY, train=replace(TOY.train, epochs=2))
    fit(short, toy_data(64, 0), toy_data(24, 1), tmp_path, 0, progress=True)
    told = capsys.readouterr()
    assert told.err.count("Level 'relation' is dead: its scores for a caption differ by") == 2
    lines = [line for line in told.out.splitlines() if line.startswith("epoch ")]
    assert [line.split(";")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert all("SumR" in line and "R@1 (spread) global" in line for line in lines)
    assert " left" in lines[0] and lines[1].endswith("done")
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"] and float(rows[1]["spread/relation"]) < 1e-3
    assert {"loss/rank", "sum_r", "sum_r/action", "r1/global", "spread/entity"} <= set(rows[0])
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_training_in_bfloat16_clips_gradients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, where Lightning refuses to clip for a fused optimiser."""
    monkeypatch.setattr(trainer_module, "usable_precision", lambda wanted: wanted)
    norms = []
    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *given: norms.append(given[1]) or clip(*given))
    _, history = run(tmp_path, replace(TOY, train=replace(TOY.train, epochs=2, precision="bf16")))
    assert len(history) == 2 and norms == [1.0] * 16


@pytest.mark.skipif(torch.cuda.device_count() > 0, reason="a GPU decides by itself")
@pytest.mark.parametrize(
    ("asked", "able", "expected"),
    [("auto", True, "32-true"), ("float32", True, "32-true"), ("bf16", True, "bf16-mixed"), ("bf16", False, "32-true")],
)
def test_a_cpu_trains_in_bfloat16_only_if_it_is_asked_and_can(
    asked: Literal["auto", "float32", "bf16"], able: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "usable_precision", lambda wanted: wanted if able else "float32")
    assert trainer_module.precision(replace(TOY.train, precision=asked)) == expected


def test_biases_norms_and_temperatures_do_not_decay() -> None:
    matcher = MCSANMatcher(MCSAN(TOY.model, {"entity": 4, "action": 3, "relation": 1}), TOY.loss)
    decaying, others = matcher.parameter_groups(TOY.train)
    assert others["weight_decay"] == 0 and "weight_decay" not in decaying
    by_id = {id(p): name for name, p in matcher.named_parameters()}
    still = {by_id[id(p)] for p in others["params"]}
    assert {"log_temperature", "model.concept_scale", "model.head.bias"} <= still
    assert not any(by_id[id(p)].endswith("bias") for p in decaying["params"])


def test_one_validation_video_is_not_called_a_dead_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = replace(TOY, train=replace(TOY.train, epochs=1))
    fit(short, toy_data(64, 0), toy_data(1, 1), tmp_path, 0, progress=True)
    assert "dead" not in capsys.readouterr().err
