"""HiT against its equations in NumPy, and what it keeps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.baselines.checkpoint import load_baseline, save_baseline
from model.baselines.hit import HiT
from model.baselines.parts import momentum
from model.mcsan.checkpoint_files import Checkpoint
from model.mcsan.layers import pad_features
from tests.model.baselines.encodings import TEXTS, Asked, block, clips, encoded, words_of
from tests.model.baselines.made_captions import W
from tests.model.mcsan.reference import (
    Array,
    below,
    linear,
    mean,
    normalised,
    weights_of,
)


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
