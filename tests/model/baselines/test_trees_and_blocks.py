"""TCE and MSDC against their equations in NumPy: loops over one video or one text, no batches and no padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch

from model.baselines.msdc import MSDC
from model.baselines.tce import TCE, LatentTree
from tests.model.baselines.encodings import TEXTS, block, clips, encoded, words_of
from tests.model.baselines.made_captions import W
from tests.model.mcsan.reference import (
    Array,
    Weights,
    below,
    gru_last,
    layer_norm,
    linear,
    mean,
    normalised,
    relu,
    sigmoid,
    softmax,
    strongest,
    weights_of,
)


def states(w: Weights, xs: Sequence[Array]) -> list[Array]:
    """The state of a GRU after each element."""
    return [gru_last(below(w, "gru."), xs[: n + 1], "") for n in range(len(xs))]


def attended(w: Weights, xs: Sequence[Array]) -> Array:
    shares = softmax([float(linear(w, "weigh", np.tanh(linear(w, "read", x)))[0]) for x in xs])
    return np.array(sum(share * x for share, x in zip(shares, xs, strict=True)))


def parent(w: Weights, left: tuple[Array, Array], right: tuple[Array, Array]) -> tuple[Array, Array]:
    d = len(left[0])
    gates = linear(w, "join", np.concatenate([left[0], right[0]]))
    i, f, f2, o, g = (gates[n * d : (n + 1) * d] for n in range(5))
    c = np.array(
        [
            sigmoid(f[k] + 1) * left[1][k] + sigmoid(f2[k] + 1) * right[1][k] + sigmoid(i[k]) * math.tanh(g[k])
            for k in range(d)
        ]
    )
    return np.array([sigmoid(o[k]) * math.tanh(c[k]) for k in range(d)]), c


def tree(w: Weights, words: Sequence[Array]) -> list[Array]:
    """All nodes of the tree that is built without drawing."""
    d = w["leaf.weight"].shape[1]
    open_nodes = [(leaf[:d], leaf[d:]) for leaf in (linear(w, "leaf", s) for s in states(below(w, "words."), words))]
    found = [h for h, _ in open_nodes]
    while len(open_nodes) > 1:
        candidates = [parent(w, *pair) for pair in pairwise(open_nodes)]
        worth = [float(linear(w, "worth", h)[0]) for h, _ in candidates]
        best = worth.index(max(worth))
        open_nodes[best : best + 2] = [candidates[best]]
        found.append(candidates[best][0])
    return found


def test_tce() -> None:
    torch.manual_seed(0)
    model = TCE(24, W, dim=16, hidden=8)
    video, text, scores = encoded(model)
    w = weights_of(model)
    for row, clip in zip(video["vector"], clips(), strict=True):
        seen = states(below(w, "video.frames."), list(clip.numpy()))
        pooled = attended(below(w, "video.pool."), block(below(w, "video.block.layers.0."), seen, heads=8))
        np.testing.assert_allclose(row, linear(w, "video_space.1", pooled), atol=1e-10)
    for row, one in zip(text["vector"], TEXTS, strict=True):
        pooled = attended(below(w, "pool."), tree(below(w, "tree."), words_of(one)))
        np.testing.assert_allclose(row, linear(w, "text_space.1", pooled), atol=1e-10)
    expected = [[normalised(v) @ normalised(t) for t in text["vector"]] for v in video["vector"]]
    np.testing.assert_allclose(scores, expected, atol=1e-10)


def test_trees_are_drawn_in_training_by_the_scores_of_their_nodes() -> None:
    """Every pair of a sentence of three words is joined first about as often as the softmax of the scores says."""
    torch.manual_seed(0)
    model = LatentTree(4, 6)
    torch.nn.init.normal_(model.worth.weight, std=4)
    words, mask = torch.randn(1, 3, 4), torch.ones(1, 3, dtype=torch.bool)
    with torch.no_grad():
        h, c = model.leaf(model.words(words, mask)[0]).chunk(2, 2)
        joined, _ = model.parents(h, c)
        share = model.worth(joined).flatten().softmax(0)
        many = model(words.expand(2000, -1, -1), mask.expand(2000, -1))[0]
    first = many[:, 3]  # the first node behind the three leaves
    drawn = torch.stack([(first - node).norm(dim=1) < 1e-5 for node in joined[0]]).float().mean(1)
    assert drawn.sum().item() == pytest.approx(1)
    torch.testing.assert_close(drawn, share, atol=0.05, rtol=0)
    model(words, mask)[0].sum().backward()
    assert model.worth.weight.grad is not None and model.worth.weight.grad.abs().sum() > 0


def test_msdc() -> None:
    torch.manual_seed(0)
    model = MSDC(24, W, dim=16, hidden=8, filters=4)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    video, text, _ = encoded(model)
    w = weights_of(model)

    def side(name: str, xs: Sequence[Array]) -> Array:
        own = below(w, f"{name}.")
        rows = [linear(own, "project", x) for x in xs]
        for number in range(2):
            own_block = below(own, f"blocks.{number}.")
            after = []
            for place, x in enumerate(rows):
                seen = []
                for index, (size, step) in enumerate((k, r) for k in (3, 5) for r in (1, 2, 3)):
                    kernel = own_block[f"convolutions.{index}.weight"]
                    value = own_block[f"convolutions.{index}.bias"].copy()
                    for tap in range(size):
                        there = place + (tap - size // 2) * step
                        if 0 <= there < len(rows):
                            value += kernel[:, :, tap] @ rows[there]
                    seen.append(relu(value))
                after.append(layer_norm(own_block, "norm", x + linear(own_block, "join", np.concatenate(seen))))
            rows = after
        mapped = linear(w, f"{name}_space.0", np.concatenate([mean(rows, 8), strongest(rows)]))
        norm = below(w, f"{name}_space.1.")
        spread = np.sqrt(norm["running_var"] + 1e-5)
        return np.array((mapped - norm["running_mean"]) / spread * norm["weight"] + norm["bias"])

    for row, clip in zip(video["vector"], clips(), strict=True):
        np.testing.assert_allclose(row, side("video", list(clip.numpy())), atol=1e-10)
    for row, one in zip(text["vector"], TEXTS, strict=True):
        np.testing.assert_allclose(row, side("text", words_of(one)), atol=1e-10)
