"""W2VV and HANet against their equations in NumPy: loops over one video or one text, no batches and no padding."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model.baselines.hanet import HANet
from model.baselines.w2vv import W2VV
from tests.model.baselines.encodings import BAG, TEXTS, clips, encoded, words_of
from tests.model.baselines.made_captions import W
from tests.model.mcsan.reference import (
    Array,
    Weights,
    below,
    gru_last,
    linear,
    mean,
    normalised,
    relu,
    sigmoid,
    softmax,
    weights_of,
)


def test_w2vv() -> None:
    torch.manual_seed(0)
    model = W2VV(24, W, BAG, states=8, hidden=16)
    video, text, _ = encoded(model)
    w = weights_of(model)
    for row, clip in zip(video["vector"], clips(), strict=True):
        np.testing.assert_allclose(row, mean(list(clip.numpy()), 24), atol=1e-12)
    for row, one in zip(text["vector"], TEXTS, strict=True):
        bag = np.zeros(BAG.size)
        for word in one.parse.words:
            bag[BAG.index[word]] += 1
        scales = np.concatenate([bag, mean(words_of(one), W), gru_last(below(w, "gru.gru."), words_of(one), "")])
        np.testing.assert_allclose(row, linear(w, "text.3", relu(linear(w, "text.0", scales))), atol=1e-10)
    labels = type("Labels", (), {"negatives": None, "text_labels": {}, "video_labels": {}})()
    sides = ({"vector": torch.from_numpy(side["vector"])} for side in (video, text))
    expected = np.mean((video["vector"] - text["vector"]) ** 2)
    assert model.objective(*sides, labels)["distance"].item() == pytest.approx(expected)


def test_frames_that_stand_for_concepts_in_hanet() -> None:
    """And the gates, the votes and both halves of the score: see `hanet.py`."""
    torch.manual_seed(0)
    model = HANet(24, W, {"entity": 30, "action": 12}, dim=16)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    video, text, scores = encoded(model)
    w = weights_of(model)
    for i, clip in enumerate(clips()):
        for name, count, reach in (("action", 10, 2), ("entity", 20, 0)):
            frames = [linear(w, f"video.{name}", x) for x in clip.numpy()]
            votes = [_votes(w, f"frame_votes.{name}", frames, n, reach) for n in range(len(frames))]
            kept = math.ceil(len(frames) / 8)
            concepts = [np.mean(sorted((v[k] for v in votes), reverse=True)[:kept]) for k in range(len(votes[0]))]
            np.testing.assert_allclose(video[f"{name} concepts"][i], concepts, atol=1e-10)
            middle = mean(frames, 16)
            opened = linear(w, f"gates.{name}.open.2", relu(linear(w, f"gates.{name}.open.0", middle)))
            seen = [x * [sigmoid(float(v)) for v in opened] for x in frames]
            likely = sorted(range(len(concepts)), key=lambda k: -concepts[k])[:count]
            order = [sorted(range(len(seen)), key=lambda n: -votes[n][k]) for k in likely]
            if name == "action":
                first = [one[0] for one in order]
                whole = min(first) > 1 and max(first) + 2 < len(seen)
                expected = [mean(seen[n - 2 : n + 3], 16) if whole else seen[n] for n in first]
            else:
                expected = [mean([seen[n] for n in one[: 3 if len(seen) > 2 else 1]], 16) for one in order]
            np.testing.assert_allclose(video[f"{name} local"][i], expected, atol=1e-10)
    for i, j in np.ndindex(*scores.shape):
        levels = [float(normalised(video["event"][i]) @ normalised(text["event"][j]))]
        concepts = []
        for name in ("action", "entity"):
            real = text[name][j]
            levels.append(_looked_for(video[name][i][video["mask"][i]], text["plain nodes"][j][real]))
            levels.append(_looked_for(video[f"{name} local"][i], text["nodes"][j][real]))
            a, b = video[f"{name} concepts"][i], text[f"{name} concepts"][j]
            concepts.append(sum(map(min, a, b)) / sum(map(max, a, b)))
        assert scores[i, j] == pytest.approx((sum(levels) / 5 + sum(concepts) / 2) / 2)


def _votes(w: Weights, name: str, frames: list[Array], place: int, reach: int) -> list[float]:
    """One frame's probability of every concept, by a convolution over `reach` frames on each side."""
    found = []
    for k, kernel in enumerate(w[f"{name}.conv.weight"]):
        logit = float(w[f"{name}.conv.bias"][k])
        for step in range(-reach, reach + 1):
            if 0 <= place + step < len(frames):
                logit += float(kernel[:, step + reach] @ frames[place + step])
        centre, spread = w[f"{name}.norm.running_mean"][k], w[f"{name}.norm.running_var"][k]
        logit = (logit - centre) / math.sqrt(spread + 1e-5) * w[f"{name}.norm.weight"][k] + w[f"{name}.norm.bias"][k]
        found.append(sigmoid(float(logit)))
    return found


def _looked_for(frames: Array, nodes: Array) -> float:
    """Mean over nodes of their similarity to the frames that they look for: see `hgr.py`."""
    found = []
    for node in nodes:
        s = [float(normalised(frame) @ normalised(node)) for frame in frames]
        positive = [max(0.0, value) for value in s]
        length = max(math.sqrt(sum(value**2 for value in positive)), 1e-12)
        shares = softmax([4 * value / length for value in positive])
        found.append(sum(share * value for share, value in zip(shares, s, strict=True)))
    return sum(found) / len(found) if found else 0.0
