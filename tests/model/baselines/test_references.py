"""Published models against their equations in NumPy: loops over one video or one text, no batches and no padding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from model.baselines.baseline import Baseline
from model.baselines.checkpoint import load_baseline, save_baseline
from model.baselines.experts.collaborative_experts import CollaborativeExperts
from model.baselines.experts.mithun import Mithun, weighted_hinge
from model.baselines.experts.mmt import MultiModalTransformer
from model.baselines.frozen_towers.clip4clip import CLIP4Clip, Frames
from model.baselines.frozen_towers.teachclip import TeachCLIP
from model.baselines.hanet import HANet
from model.baselines.hit import HiT
from model.baselines.parts import momentum
from model.baselines.parts.bag_of_words import BagOfWords
from model.baselines.w2vv import W2VV
from model.mcsan.checkpoint_files import Checkpoint
from model.mcsan.layers import pad_features
from model.mcsan.text_features import TextFeatures
from quartet.errors import InputError
from tests.model.baselines.made_captions import W, caption
from tests.model.mcsan.reference import (
    Array,
    Weights,
    attention,
    below,
    gelu,
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

TEXTS = [caption(5, 2, 1), caption(1, 1, 0, 1), caption(7, 2, 2, 2)]
BAG = BagOfWords([*TEXTS], min_count=1)
EXPERTS = (10, 6, 8)
SEVERAL = pytest.mark.parametrize("experts", [EXPERTS, (24,)])


def clips(width: int = 24) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(n, width, dtype=torch.float64) for n in (1, 4, 9)]


def encoded(model: Baseline, width: int = 24) -> tuple[dict[str, Array], dict[str, Array], Array]:
    """Encodings of `clips(width)` and TEXTS, and all scores (videos, texts), in double precision."""
    model = model.double().eval()
    text = model.collate_text(TEXTS)
    floats: dict[str, Any] = {n: x.double() for n, x in text.tensors().items() if x.is_floating_point()}
    with torch.inference_mode():
        video, text_side = model.encode_video(*pad_features(clips(width))), model.encode_text(replace(text, **floats))
        scores = model.scores(video, text_side)
    return _arrays(video), _arrays(text_side), scores.numpy()


def _arrays(side: Mapping[str, Tensor]) -> dict[str, Array]:
    return {name: value.numpy() for name, value in side.items()}


def words_of(text: TextFeatures) -> list[Array]:
    return [row.astype(np.float64) for row in text.encoded.words]


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


def block(w: Weights, xs: list[Array], heads: int) -> list[Array]:
    """One layer of a transformer: attention and perceptron, each with its residual and then the norm."""
    attended = attention(below(w, "self_attn."), xs, heads)
    hidden = [layer_norm(w, "norm1", x + a) for x, a in zip(xs, attended, strict=True)]
    return [layer_norm(w, "norm2", h + linear(w, "linear2", gelu(linear(w, "linear1", h)))) for h in hidden]


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


def test_hit() -> None:
    torch.manual_seed(0)
    model = HiT(24, W, dim=16)
    video, text, scores = encoded(model)
    w = weights_of(model)

    def two_layers(name: str, xs: Sequence[Array]) -> dict[str, Array]:
        own = below(w, f"{name}.")
        states = [linear(own, "project", x) + own["time.weight"][place] for place, x in enumerate(xs)]
        first: list[Array] = []
        for layer in range(4):
            states = block(below(own, f"layers.{layer}."), states, heads=8)
            first = first or states
        pooled = {"feature": mean(first, 16), "semantic": mean(states, 16)}
        return {level: normalised(linear(own, f"heads.{level}", x)) for level, x in pooled.items()}

    seen = [two_layers("video", clip.numpy()) for clip in clips()]
    read = [two_layers("text", words_of(one)) for one in TEXTS]
    for level in ("feature", "semantic"):
        np.testing.assert_allclose(video[level], [one[level] for one in seen], atol=1e-10)
        np.testing.assert_allclose(text[level], [one[level] for one in read], atol=1e-10)
    expected = [[sum(float(v[n] @ t[n]) for n in v) / 2 for t in read] for v in seen]
    np.testing.assert_allclose(scores, expected, atol=1e-10)


@dataclass
class Asked:
    """What an objective asks of a batch: numbers of the videos and of the wordings."""

    owner: Tensor
    wording: Tensor

    @property
    def negatives(self) -> Tensor:
        return self.owner.unsqueeze(1) != self.owner


def test_hit_contrasts_with_the_keys_of_earlier_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(momentum, "QUEUE", 5)
    torch.manual_seed(0)
    model = HiT(24, W, dim=8).double()
    rng = np.random.default_rng(0)
    past: list[dict[str, Any]] = []
    for owners, wordings in (((0, 1, 2), (0, 1, 2)), ((1, 3, 4), (7, 8, 2))):
        pairs = list(zip(owners, wordings, strict=True))
        names = [f"{level}{kind}" for level in ("feature", "semantic") for kind in ("", " key")]
        sides = [{name: rng.standard_normal((3, 8)) for name in names} for _ in range(2)]
        video, text = ({n: np.array([normalised(row) for row in x]) for n, x in side.items()} for side in sides)
        terms = model.objective(
            {n: torch.from_numpy(x) for n, x in video.items()},
            {n: torch.from_numpy(x) for n, x in text.items()},
            Asked(torch.tensor(owners), torch.tensor(wordings)),
        )
        new = [{"o": o, "w": c, "v": video, "t": text, "i": i} for i, (o, c) in enumerate(pairs)]
        past = [*new, *past][:5]
        for level in ("feature", "semantic"):
            expected = 0.0
            for i in range(3):
                others = [p for p in past if p["o"] != owners[i] and p["w"] != wordings[i]]
                for query, side, keys in ((video, "t", text), (text, "v", video)):
                    own = math.exp(float(query[level][i] @ keys[f"{level} key"][i]) / 0.07)
                    wrong = [p[side][f"{level} key"][p["i"]] for p in others]
                    rest = sum(math.exp(float(query[level][i] @ key) / 0.07) for key in wrong)
                    expected -= math.log(own / (own + rest)) / 3
            assert terms[level].item() == pytest.approx(expected, rel=1e-5)


def test_the_slow_copies_of_hit_follow_in_training_alone() -> None:
    torch.manual_seed(0)
    model = HiT(24, W, dim=8).eval()
    with torch.no_grad():
        model.video.project.weight += 1
    slow, fast = model.slow_video.encoder.project.weight, model.video.project.weight
    before = slow.clone()
    features, mask = pad_features([clip.float() for clip in clips()])
    assert set(model.encode_video(features, mask)) == {"feature", "semantic"}
    assert torch.equal(slow, before)
    encodings = model.train().encode_video(features, mask)
    torch.testing.assert_close(slow, 0.995 * before + 0.005 * fast)
    assert encodings["feature"].requires_grad and not encodings["feature key"].requires_grad


def test_a_kept_hit_has_no_slow_copies_and_no_queue(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = HiT(24, W, dim=8).eval()
    save_baseline(tmp_path, Checkpoint("hit", "", model, None, {}, "parser", "sentences"), 6)
    kept = load_baseline(tmp_path)[0].model
    assert {name.split(".")[0] for name in kept.state_dict()} == {"video", "text"}
    features, mask = pad_features([clip.float() for clip in clips()])
    for level, vectors in model.encode_video(features, mask).items():
        torch.testing.assert_close(kept.encode_video(features, mask)[level], vectors, atol=5e-3, rtol=0)


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
