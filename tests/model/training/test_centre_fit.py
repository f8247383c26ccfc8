"""Centred vectors: half of the training split's mean is taken away, and no caption is near every clip any more."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.language.parsed_caption import Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.levels import LEVEL_NAMES, Vectors
from model.mcsan.config import LossConfig, ModelConfig, Preset, TrainConfig
from model.mcsan.network import MCSAN
from model.mcsan.text_features import TextFeatures
from model.training.data.dataset import VideoText
from model.training.fitting import centre_fit
from model.training.fitting.centre_fit import SHARE, fit_centres
from model.training.fitting.split_vectors import encode_text_features, encode_videos
from model.training.loop.run_record import kept_epoch
from model.training.loop.single_run import fit
from model.training.loop.validation import validate

CONFIG = ModelConfig(5, 4, 6, 8, embed_dim=8, heads=2, attention_dim=4, centred=True)
SIZES = {"entity": 3, "action": 2, "relation": 4}


def caption(rng: np.random.Generator, verb: bool) -> TextFeatures:
    nodes = (Node("noun", (0,), "n", 1), *([Node("verb", (1,), "v", 0)] if verb else []))
    parse = ParsedCaption(f"{rng.random()}", ("x",) * 2, ((0, 1),) * 2, nodes, ((1, 0),) if verb else ())
    words = rng.standard_normal((2, CONFIG.word_dim)).astype(np.float16)
    return TextFeatures(parse, EncodedText(rng.standard_normal(CONFIG.sentence_dim).astype(np.float32), words))


def dataset(clips: int) -> VideoText:
    """Two captions a clip; the second has no verb."""
    rng = np.random.default_rng(0)
    frames = [torch.from_numpy(rng.standard_normal((3, CONFIG.feature_dim)).astype(np.float32)) for _ in range(clips)]
    return VideoText.build(frames, [[caption(rng, True), caption(rng, False)] for _ in range(clips)])


def encoded(model: MCSAN, data: VideoText) -> tuple[Vectors, Vectors]:
    return encode_videos(model, data.features, data.frame_mask), encode_text_features(model, data.texts)


def made(seed: int = 0) -> MCSAN:
    torch.manual_seed(seed)
    return MCSAN(CONFIG, SIZES).eval()


def test_half_of_the_mean_is_taken_away_and_an_absent_level_stays_absent() -> None:
    model, data = made(), dataset(20)
    before = encoded(model, data)
    fit_centres(model, data)
    for old, new in zip(before, encoded(model, data), strict=True):
        for name in LEVEL_NAMES:
            present = old[name].any(axis=1)
            moved = old[name][present] - SHARE * old[name][present].mean(axis=0)
            expected = moved / np.linalg.norm(moved, axis=1, keepdims=True)
            np.testing.assert_allclose(new[name][present], expected, atol=1e-6)
            assert not new[name][~present].any()
    assert before[1]["action"].any(axis=1).mean() == 0.5


def test_a_mean_is_taken_of_rows_that_are_evenly_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centre_fit, "MAX_ROWS", 3)
    model, data = made(), dataset(21)
    clips = encoded(model, data)[0]["entity"]
    fit_centres(model, data)
    assert model.video.centre is not None
    mean = model.video.centre.get_buffer("mean_entity")
    np.testing.assert_allclose(mean, SHARE * clips[[0, 10, 20]].mean(axis=0), atol=1e-6)


def test_concept_heads_read_a_centred_clip_as_they_read_it_before() -> None:
    """Exactly, where all clips are as far from the mean as each other: here there is one."""
    model, data = made(), dataset(1)
    torch.nn.init.normal_(model.concept_scale)
    read = lambda: {  # noqa: E731
        name: model.concept_logits(name, torch.from_numpy(encoded(model, data)[0][name])).detach() for name in SIZES
    }
    before = read()
    fit_centres(model, data)
    for name, logits in read().items():
        torch.testing.assert_close(logits, before[name], atol=1e-5, rtol=1e-5)


def test_training_sees_vectors_as_they_are() -> None:
    centred, plain = made(), MCSAN(replace(CONFIG, centred=False), SIZES)
    data = dataset(8)
    fit_centres(centred, data)
    state = {name: value for name, value in centred.state_dict().items() if ".centre." not in name}
    plain.load_state_dict(state)
    pairs = []
    for model in (plain, centred):
        torch.manual_seed(1)
        pairs.append(model.train().video(data.features, data.frame_mask))
    for name in LEVEL_NAMES:
        torch.testing.assert_close(pairs[0][name], pairs[1][name], rtol=0, atol=0)


def test_a_trained_model_is_centred_and_measured_again(tmp_path: Path) -> None:
    data = dataset(12)
    preset = Preset(CONFIG, LossConfig(ranking="infonce"), TrainConfig(batch_size=8, epochs=2))
    model, _, history = fit(preset, data, data, tmp_path / "centred", 0, progress=False)
    other = replace(preset, model=replace(CONFIG, centred=False))
    plain, _, _ = fit(other, data, data, tmp_path / "plain", 0, progress=False)
    own, weights = plain.state_dict(), model.state_dict()
    changed = {name for name in own if not torch.equal(own[name], weights[name])}
    assert all(name.startswith("concepts.") for name in changed)
    assert set(weights) - set(own) == {f"{t}.centre.mean_{n}" for t in ("video", "text") for n in LEVEL_NAMES}
    clips = encoded(plain, data)[0]["relation"]
    np.testing.assert_allclose(weights["video.centre.mean_relation"], SHARE * clips.mean(axis=0), atol=1e-6)
    measured = validate(model, data)[0]
    assert history[kept_epoch(history, preset.train.keep)]["fused"].to_json() == measured["fused"].to_json()
