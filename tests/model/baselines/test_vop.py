"""VoP against a reading of its layers one by one, and what stays of the tower that it stands in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from model.baselines.frozen_towers.vop import TokenizedTexts, VoP
from model.language.parsed_caption import ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.mcsan.layers import pad_features
from model.mcsan.text_features import TextFeatures
from model.registry import load_encoder
from model.training.compare.caption_encoder import caption_encoder
from model.training.compare.comparison import Plan, compare
from model.training.compare.inputs import Inputs
from model.training.compare.kept_models import Keeping
from model.training.compare.published import PUBLISHED
from model.training.data.caption_readers import CaptionSet
from model.training.data.dataset import CaptionedVideo
from model.training.data.feature_file import FeatureFile
from model.training.loop.feature_scores import scores_on_features
from model.two_tower.deep_prompts import layers_of
from model.two_tower.pixels import PixelTower
from model.two_tower.towers import TwoTower
from quartet.errors import InputError
from tests.two_towers import SIZE, write_clip, write_siglip

TEXTS = ("a dog runs over the grass", "cats", "a man rides a horse", "sunset")
WRITERS = pytest.mark.parametrize("write", [write_clip, write_siglip])


def told(text: str) -> TextFeatures:
    words = tuple(text.split())
    empty = EncodedText(np.zeros(4, np.float32), np.zeros((len(words), 4), np.float16))
    return TextFeatures(ParsedCaption(text, words, ((0, 1),) * len(words), (), ()), empty)


def clips(seed: int = 0) -> list[Tensor]:
    torch.manual_seed(seed)
    return [torch.randn(n, 3 * SIZE * SIZE) for n in (1, 3, 2, 2)]


def vop(write: Any, folder: Path) -> VoP:
    tower = PixelTower(write(folder))
    torch.manual_seed(1)
    model = VoP.of(tower).eval()
    for prompts in (model.picture_prompts, model.text_prompts):
        torch.nn.init.normal_(prompts.vectors)
    return model


def through(layers: Any, states: Tensor, prompts: Tensor, real: list[bool], causal: bool) -> Tensor:
    """One row of states (L, d) through the layers: what may be seen is written out place by place."""
    p = prompts.shape[1]
    old = [0, *range(1 + p, len(states) + p)]
    for layer, own in zip(layers, prompts, strict=True):
        rows = torch.cat([states[:1], own, states[1:]])
        seen = torch.zeros(1, 1, len(rows), len(rows))
        for i, j in np.ndindex(len(rows), len(rows)):
            padding = j in old and not real[old.index(j)]
            if padding or (causal and j > i):
                seen[0, 0, i, j] = torch.finfo(torch.float32).min
        states = layer(rows.unsqueeze(0), seen)[0][old]
    return states


@WRITERS
def test_every_layer_sees_its_prompts(write: Any, tmp_path: Path) -> None:
    model = vop(write, tmp_path)
    net: Any = model.tower.net
    pictures, _, causal = layers_of(model.tower)
    assert causal == (write is write_clip)
    with torch.no_grad():
        video = model.encode_video(*pad_features(clips()))["vector"]
        for row, clip in zip(video, clips(), strict=True):
            seen = []
            for pixels in clip.unflatten(1, (3, SIZE, SIZE)):
                states = net.vision_model.embeddings(pixels.unsqueeze(0))
                if causal:  # CLIP
                    states = net.vision_model.pre_layrnorm(states)
                states = through(pictures, states[0], model.picture_prompts.vectors, [True] * states.shape[1], False)
                states = net.vision_model.post_layernorm(states)
                vector = net.visual_projection(states[0]) if causal else net.vision_model.head(states.unsqueeze(0))[0]
                seen.append(normalize(vector, dim=0))
            torch.testing.assert_close(row, torch.stack(seen).mean(0), atol=1e-5, rtol=1e-4)


@WRITERS
def test_texts_see_their_prompts_whatever_their_company(write: Any, tmp_path: Path) -> None:
    model = vop(write, tmp_path)
    net: Any = model.tower.net
    _, layers, causal = layers_of(model.tower)
    with torch.no_grad():
        together = model.encode_text(model.collate_text([told(text) for text in TEXTS]))["vector"]
        for row, text in zip(together, TEXTS, strict=True):
            tokens = model.tower.tokens([text])
            ids = tokens["input_ids"]
            real = [bool(one) for one in tokens.get("attention_mask", torch.ones_like(ids))[0]]
            states = net.text_model.embeddings(ids)[0]
            states = through(layers, states, model.text_prompts.vectors, real, causal)
            states = net.text_model.final_layer_norm(states)
            end = int(ids[0].argmax()) if causal else -1
            vector = net.text_projection(states[end]) if causal else net.text_model.head(states[end])
            torch.testing.assert_close(row, vector, atol=1e-5, rtol=1e-4)
            alone = model.encode_text(model.collate_text([told(text)]))["vector"][0]
            torch.testing.assert_close(row, alone, atol=1e-5, rtol=1e-4)


def test_prompts_learn_and_the_tower_stays(tmp_path: Path) -> None:
    model = vop(write_clip, tmp_path).train()
    before = {name: value.clone() for name, value in model.tower.net.state_dict().items()}
    assert {name.split(".")[0] for name in model.state_dict()} == {"picture_prompts", "text_prompts", "log_temperature"}
    text: TokenizedTexts = model.collate_text([told(text) for text in TEXTS])
    batch: Any = type("Batch", (), {"negatives": ~torch.eye(4, dtype=torch.bool)})
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(12):
        loss = model.objective(model.encode_video(*pad_features(clips())), model.encode_text(text), batch)["rank"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(torch.equal(value, before[name]) for name, value in model.tower.net.state_dict().items())
    plain = TwoTower(tmp_path)
    np.testing.assert_allclose(model.tower.texts(TEXTS), plain.texts(TEXTS), atol=1e-6)  # prompts stand only inside


def test_it_is_compared_kept_and_sees_videos(tmp_path: Path) -> None:
    tower = PixelTower(write_clip(tmp_path / "tower"))
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (1 + n % 3, 40, 40, 3), dtype=np.uint8) for n in range(len(TEXTS))]
    features = tmp_path / "f.h5"
    with FeatureFile(features, writable=True, backbone=tower.config) as file:
        for number, rows in enumerate(tower.features(frames)):
            file.add(str(number), rows)
    splits = ("train", "train", "val", "test")
    videos = tuple(CaptionedVideo(str(n), (text,), splits[n]) for n, text in enumerate(TEXTS))
    reader = caption_encoder(("vop",), [features], None, tmp_path)
    plan = Plan(("vop",), seeds=1, epochs=1, frames=3)
    list(compare(plan, CaptionSet(videos), [features], tmp_path, print, keeping=Keeping(tmp_path), sentences=reader))
    scores, _, _ = scores_on_features(tmp_path / "vop-seed0", videos, [features])
    encoder = load_encoder(tmp_path / "vop-seed0")
    np.testing.assert_allclose(encoder.encode_clips(frames)["global"], scores.clips["global"], atol=2e-3)
    asked = encoder.text_queries(encoder.encode_texts(TEXTS).vectors)
    np.testing.assert_allclose(asked["global"], scores.text_queries["global"], atol=2e-3)
    other: Any = Inputs(None, {}, tower=TwoTower(tmp_path / "tower"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"vop needs frames as pixels. Make them with: quartet features VIDEOS"):
        PUBLISHED["vop"](other)
