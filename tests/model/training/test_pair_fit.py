"""The ordered pairs of the relation level learn from captions who does what, and from exchanged roles who to whom."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model.language.parsed_caption import Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.mcsan.config import LossConfig, ModelConfig, Preset, TrainConfig
from model.mcsan.ordered_pairs import READINGS, VideoPairs
from model.mcsan.text_features import TextFeatures
from model.training.data.dataset import ChangedTexts, VideoText
from model.training.fitting import pair_fit
from model.training.fitting.split_vectors import encode_text_features, encode_videos
from model.training.loop.single_run import fit

KINDS, FRAMES = 4, 6
CONFIG = ModelConfig(
    KINDS * READINGS, FRAMES, KINDS + 1, 6, embed_dim=6 + 6 * KINDS, heads=2, attention_dim=4, pair_kinds=KINDS
)


def caption(who: int, whom: int) -> TextFeatures:
    words = 10 * np.eye(KINDS + 1, dtype=np.float16)[[who, KINDS, whom]]
    nodes = (Node("noun", (0,), f"n{who}", 1), Node("verb", (1,), "chase", 0), Node("noun", (2,), f"n{whom}", 3))
    parse = ParsedCaption(f"n{who} n{whom}", ("x",) * 3, ((0, 1),) * 3, nodes, ((1, 0), (1, 2)))
    return TextFeatures(parse, EncodedText(np.ones(CONFIG.sentence_dim, np.float32), words))


def clip(who: int, whom: int, rng: np.random.Generator) -> torch.Tensor:
    """Who chases starts late and moves as fast as whom it chases."""
    frames = np.zeros((FRAMES, KINDS, READINGS), np.float32)
    x = np.linspace(0, 1, FRAMES) * rng.choice([-1, 1])
    for kind, lead in ((who, -0.4), (whom, 0.4)):
        frames[:, kind, 0], frames[:, kind, 1] = 1, x + lead * np.sign(x[-1] - x[0])
        frames[:, kind, 6] = np.sign(x[-1] - x[0])
    return torch.from_numpy(frames.reshape(FRAMES, -1))


def dataset(count: int) -> VideoText:
    rng = np.random.default_rng(0)
    pairs = [rng.permutation(KINDS)[:2].tolist() for _ in range(count)]
    data = VideoText.build([clip(*pair, rng) for pair in pairs], [[caption(*pair)] for pair in pairs])
    changed = ChangedTexts([caption(*pair[::-1]) for pair in pairs], {i: [("roles", i)] for i in range(count)})
    return replace(data, changed=changed)


def test_pairs_notice_exchanged_roles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_fit, "EPOCHS", 300)  # of one step each
    data = dataset(120)
    readings = nn.Linear(CONFIG.feature_dim, CONFIG.feature_dim)
    readings.weight.data, readings.bias.data = torch.eye(CONFIG.feature_dim), torch.zeros(CONFIG.feature_dim)
    preset = Preset(CONFIG, LossConfig(hard_negatives=0.5), TrainConfig(batch_size=32, epochs=1))
    model, _, history = fit(preset, data, data, tmp_path, 0, progress=False, readings=readings)
    clips = encode_videos(model, data.features, data.frame_mask)["relation"]
    assert data.changed is not None
    told, swapped = (encode_text_features(model, texts)["relation"] for texts in (data.texts, data.changed.texts))
    assert ((clips * told).sum(1) > (clips * swapped).sum(1)).mean() > 0.95
    share = (clips[:, CONFIG.whole_dim :] ** 2).sum(1)
    np.testing.assert_allclose(share, pair_fit.SCALE**2 / (1 + pair_fit.SCALE**2), rtol=1e-5)
    weights = model.level_weights()
    assert weights[3] > weights[1]  # entities cannot tell these clips apart as well
    assert len(history) == 1 and history[0]["relation"].sum_r > history[0]["entity"].sum_r


def test_nouns_mean_the_kinds_that_their_clips_show() -> None:
    data = dataset(40)
    video = VideoPairs(CONFIG)
    video.read.weight.data, video.read.bias.data = torch.eye(CONFIG.feature_dim), torch.zeros(CONFIG.feature_dim)
    assert pair_fit.noun_kinds(video, data) == {f"n{kind}": kind for kind in range(KINDS)}
    rare = replace(data, texts=[caption(0, 1), *data.texts[1:]])
    assert pair_fit.noun_kinds(video, replace(rare, features=torch.zeros_like(data.features))) == dict.fromkeys(
        (f"n{kind}" for kind in range(KINDS)), KINDS
    )  # nothing is seen


def test_fitting_pairs_is_the_same_each_time(tmp_path: Path) -> None:
    data = dataset(20)
    readings = nn.Linear(CONFIG.feature_dim, CONFIG.feature_dim)
    preset = Preset(CONFIG, train=TrainConfig(batch_size=8, epochs=1))
    one, other = (fit(preset, data, data, tmp_path / n, 3, progress=False, readings=readings)[0] for n in "ab")
    assert one.text.pairs is not None and other.text.pairs is not None and one.video.pairs is not None
    torch.testing.assert_close(one.text.pairs.does.weight, other.text.pairs.does.weight)
    assert torch.equal(one.video.pairs.read.weight, readings.weight)
    assert not any(parameter.requires_grad for parameter in one.video.pairs.parameters())
