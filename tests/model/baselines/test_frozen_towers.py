"""Models on frozen two-tower vectors (CLIP4Clip, TeachCLIP) against their equations in NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from model.baselines.frozen_towers.clip4clip import CLIP4Clip, Frames
from model.baselines.frozen_towers.teachclip import TeachCLIP
from model.mcsan.layers import pad_features
from quartet.errors import InputError
from tests.model.baselines.encodings import TEXTS, Asked, block, clips, encoded
from tests.model.baselines.made_captions import W
from tests.model.mcsan.reference import (
    Array,
    Weights,
    below,
    linear,
    mean,
    normalised,
    relu,
    sigmoid,
    softmax,
    weights_of,
)


def lstm(w: Weights, xs: Sequence[Array]) -> list[Array]:
    """Hochreiter and Schmidhuber 1997 with forget gates; gates in the order input, forget, cell, output."""
    d = w["weight_hh_l0"].shape[1]
    h, c, states = np.zeros(d), np.zeros(d), []
    for x in xs:
        gates = w["weight_ih_l0"] @ x + w["bias_ih_l0"] + w["weight_hh_l0"] @ h + w["bias_hh_l0"]
        enter, forget, cell, leave = (gates[g * d : (g + 1) * d] for g in range(4))
        kept = [sigmoid(f) * old for f, old in zip(forget, c, strict=True)]
        c = np.array([old + sigmoid(i) * math.tanh(z) for old, i, z in zip(kept, enter, cell, strict=True)])
        h = np.array([sigmoid(o) * math.tanh(value) for o, value in zip(leave, c, strict=True)])
        states.append(h)
    return states


def over_time(w: Weights, frames: Frames, fs: list[Array]) -> list[Array]:
    """z_t of CLIP4Clip."""
    if frames == "lstm":
        return [f + h for f, h in zip(fs, lstm(below(w, "over_time."), fs), strict=True)]
    if frames == "transformer":
        states = [f + w["place.weight"][place] for place, f in enumerate(fs)]
        for layer in range(4):
            states = block(below(w, f"over_time.layers.{layer}."), states, heads=1)
        return [f + z for f, z in zip(fs, states, strict=True)]
    return fs


@pytest.mark.parametrize("frames", ["mean", "lstm", "transformer"])
def test_clip4clip(frames: Frames) -> None:
    torch.manual_seed(0)
    model = CLIP4Clip(W, W, frames)
    _, _, scores = encoded(model, W)
    w = weights_of(model)
    for i, clip in enumerate(clips(W)):
        vector = normalised(mean([normalised(z) for z in over_time(w, frames, list(clip.numpy()))], W))
        for j, text in enumerate(TEXTS):
            assert scores[i, j] == pytest.approx(vector @ normalised(text.encoded.sentence.astype(np.float64)))
    with pytest.raises(InputError, match=r"12 and 16 dimensions\. Make features with: quartet features"):
        CLIP4Clip(12, 16, frames)


def test_teachclip_and_its_teacher() -> None:
    torch.manual_seed(0)
    model = TeachCLIP(W, W)
    video, _, scores = encoded(model, W)
    assert set(video) == {"vector"}  # what the teacher sees is for training
    w = weights_of(model)
    sentences = [normalised(text.encoded.sentence.astype(np.float64)) for text in TEXTS]
    taught, fine = np.zeros_like(scores), 0.0
    for i, clip in enumerate(clips(W)):
        fs = list(clip.numpy())
        zs = over_time(w, "transformer", fs)
        u = [float(linear(w, "weigh.2", relu(linear(w, "weigh.0", z)))[0]) for z in zs]
        shares = softmax([value / 0.1 for value in u])
        vector = normalised(sum(share * normalised(z) for share, z in zip(shares, zs, strict=True)))
        np.testing.assert_allclose(scores[i], [vector @ sentence for sentence in sentences], atol=1e-10)
        for j, sentence in enumerate(sentences):
            similar = [float(normalised(f) @ sentence) for f in fs]
            weights = softmax([value / 0.01 for value in similar])
            taught[i, j] = sum(a * b for a, b in zip(weights, similar, strict=True))
            if i == j:
                fine -= sum(p * math.log(q) for p, q in zip(weights, softmax(u), strict=True)) / len(sentences)
    coarse = 0.0
    for ours, theirs in ((scores, taught), (scores.T, taught.T)):
        for a, b in zip(ours / 0.01, theirs / 0.01, strict=True):
            coarse += (1 - np.corrcoef(softmax(list(a)), softmax(list(b)))[0, 1]) / len(ours)
    model.train()
    for module in model.modules():
        if isinstance(module, (torch.nn.Dropout, torch.nn.MultiheadAttention)):
            module.eval()
    batch = Asked(torch.arange(3), torch.arange(3))
    text = {"vector": torch.from_numpy(np.array(sentences))}
    terms = model.objective(model.encode_video(*pad_features(clips(W))), text, batch)
    assert terms["coarse"].item() == pytest.approx(coarse)
    assert terms["fine"].item() == pytest.approx(fine)
