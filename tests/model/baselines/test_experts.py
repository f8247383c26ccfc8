"""Models of several experts (CE, MMT, Mithun) against their equations in NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch

from model.baselines.experts.collaborative_experts import CollaborativeExperts
from model.baselines.experts.mithun import Mithun, weighted_hinge
from model.baselines.experts.mmt import MultiModalTransformer
from tests.model.baselines.encodings import EXPERTS, TEXTS, block, clips, encoded, words_of
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
    strongest,
    weights_of,
)

SEVERAL = pytest.mark.parametrize("experts", [EXPERTS, (24,)])


def gated(w: Weights, name: str, x: Array) -> Array:
    y = linear(w, f"{name}.embed", x)
    opened = [sigmoid(float(g)) for g in linear(w, f"{name}.gate", y)]
    return normalised(np.array([a * b for a, b in zip(y, opened, strict=True)]))


def look_for(w: Weights, x: Array, experts: int) -> list[tuple[float, Array]]:
    """The weight of every expert, and what a text looks for in it."""
    shares = softmax(list(linear(w, "text.weights", x)))
    return [(shares[n], gated(w, f"text.embed.{n}", x)) for n in range(experts)]


def parts(frame: Array, experts: Sequence[int]) -> list[Array]:
    edges = np.cumsum([0, *experts])
    return [frame[a:b] for a, b in pairwise(edges)]


def weighted_sum(wanted: Sequence[tuple[float, Array]], psi: Sequence[Array]) -> float:
    return sum(weight * float(phi @ own) for (weight, phi), own in zip(wanted, psi, strict=True))


@SEVERAL
def test_ce(experts: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = CollaborativeExperts(experts, W, dim=16)
    _, _, scores = encoded(model)
    w = weights_of(model)

    def perceptron(name: str, x: Array) -> Array:
        return linear(w, f"{name}.2", relu(linear(w, f"{name}.0", x)))

    def video(frames: Array) -> list[Array]:
        own = parts(mean(list(frames), 24), experts)
        psi = [linear(w, f"project.{n}", x) for n, x in enumerate(own)]
        seen = []
        for n, x in enumerate(psi):
            others = [perceptron("pair", np.concatenate([x, y])) for m, y in enumerate(psi) if m != n]
            opened = x * [sigmoid(float(v)) for v in perceptron("open", sum(others))] if others else x
            seen.append(gated(w, f"embed.{n}", opened))
        return seen

    def text(words: list[Array]) -> Array:
        clusters = []
        for k, centre in enumerate(w["words.centres"]):
            residual = np.zeros(W)
            for x in words:
                residual += softmax(list(linear(w, "words.assign", x)))[k] * (x - centre)
            clusters.append(normalised(residual))
        return normalised(np.concatenate(clusters))

    expected = [
        [weighted_sum(look_for(w, text(words_of(t)), len(experts)), video(c.numpy())) for t in TEXTS] for c in clips()
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-10)


@SEVERAL
def test_mmt(experts: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = MultiModalTransformer(experts, W, dim=16)
    _, _, scores = encoded(model)
    w = weights_of(model)

    def video(frames: Array) -> list[Array]:
        tokens, summaries = [], []
        for n in range(len(experts)):
            own = [parts(frame, experts)[n] for frame in frames]
            summaries.append(len(tokens))
            for time, x in enumerate([strongest(own), *own]):
                tokens.append(linear(w, f"project.{n}", x) + w["expert.weight"][n] + w["time.weight"][time])
        for layer in range(4):
            tokens = block(below(w, f"layers.layers.{layer}."), tokens, heads=4)
        return [normalised(tokens[place]) for place in summaries]

    expected = [
        [
            weighted_sum(look_for(w, t.encoded.sentence.astype(np.float64), len(experts)), video(c.numpy()))
            for t in TEXTS
        ]
        for c in clips()
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-10)


def test_the_weighted_sum_is_one_inner_product_that_an_index_can_hold() -> None:
    """Of videos at length 1, it ranks as the score does for every text."""
    torch.manual_seed(0)
    video, text, scores = encoded(MultiModalTransformer(EXPERTS, W, dim=16))
    lengths = np.linalg.norm(video["vector"], axis=1)
    np.testing.assert_allclose(lengths, math.sqrt(len(EXPERTS)))
    stored, asked = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (video["vector"], text["vector"]))
    np.testing.assert_array_equal((stored @ asked.T).argsort(0), scores.argsort(0))


@SEVERAL
def test_mithun(experts: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = Mithun(experts, W, dim=16)
    _, _, scores = encoded(model)
    w = weights_of(model)
    expected = np.zeros_like(scores)
    for i, clip in enumerate(clips()):
        frame = mean(list(clip.numpy()), 24)
        seen = {"object": frame[: experts[0]], "activity": frame[experts[0] :] if len(experts) > 1 else frame}
        for j, text in enumerate(TEXTS):
            for name, x in seen.items():
                last = gru_last(below(w, f"words.{name}.gru."), words_of(text), "")
                found = normalised(linear(w, f"video.{name}", x)) @ normalised(linear(w, f"text.{name}", last))
                expected[i, j] += found / 2
    np.testing.assert_allclose(scores, expected, atol=1e-10)


def test_a_pair_of_a_worse_rank_costs_more() -> None:
    rng = np.random.default_rng(0)
    s, n = rng.random((6, 6)), 6
    wrong = ~np.eye(n, dtype=bool)
    wrong[0, 1] = wrong[1, 0] = False  # of one video
    expected = 0.0
    for matrix, allowed in ((s, wrong), (s.T, wrong.T)):
        for i in range(n):
            others = [matrix[i, j] for j in range(n) if allowed[i, j]]
            rank = 1 + sum(other > matrix[i, i] for other in others)
            expected += (1 + 1 / (n - rank + 1)) * max(0.0, 0.2 + max(others) - matrix[i, i]) / n
    assert weighted_hinge(torch.from_numpy(s), torch.from_numpy(wrong)).item() == pytest.approx(expected)
