"""Training on top of a two-tower model: it starts where zero-shot search stands, and a checkpoint indexes videos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.evaluation.scores import LevelScores
from model.language.sentence_encoder import encode_captions
from model.language.spacy_parser import SpacyParser
from model.mcsan.layers import unit
from model.mcsan.presets import CLIP
from model.mcsan.text_features import TextFeaturizer
from model.training.data.dataset import CaptionedVideo
from model.training.loop import feature_training as run
from model.training.loop.feature_training import video_text
from model.training.loop.mcsan_matcher import mcsan_matcher
from model.training.loop.single_run import vocabularies_of
from model.training.loop.unfrozen_matcher import UnfrozenMatcher
from model.training.loop.validation import level_scores
from model.two_tower.encoder import ClipEncoder
from model.two_tower.sentence_encoder import TwoTowerSentences
from model.two_tower.towers import TwoTower
from quartet.errors import InputError
from tests.two_towers import write_clip, write_siglip

CAPTIONS = (
    "a red dog chases two small cats over the wet grass",
    "a man is riding a horse",
    "sunset",
    "two women dance in a kitchen, and nobody sees them",
    "somebody jumps over a box",
    "a bird flies",
)
SMALL = replace(
    CLIP,
    model=replace(CLIP.model, embed_dim=16, heads=2, attention_dim=8),
    train=replace(CLIP.train, batch_size=4, epochs=1),
)


@pytest.fixture(scope="module")
def parser() -> SpacyParser:
    return SpacyParser()


@pytest.mark.parametrize("write", [write_clip, write_siglip])
def test_words_are_the_states_of_their_tokens(
    tmp_path: Path, parser: SpacyParser, write: Callable[[Path], Path]
) -> None:
    tower = TwoTower(write(tmp_path / "tower"))
    sentences = TwoTowerSentences(tower)
    captions = parser.parse([*CAPTIONS, ""])
    vectors = encode_captions(sentences, captions)
    np.testing.assert_allclose([e.sentence for e in vectors], tower.texts([c.text for c in captions]), atol=1e-5)
    for caption, one in zip(captions, vectors, strict=True):
        assert one.words.shape == (len(caption.words), tower.feature_dim) and np.isfinite(one.words).all()
    text = captions[1].text  # "a man is riding a horse"
    ids = tower.network.tokenizer(
        [text], **({"padding": "max_length", "max_length": 24, "truncation": True} if tower.network.pads_fully else {})
    )
    pieces = tower.network.tokenizer.convert_ids_to_tokens(ids["input_ids"][0])
    with torch.inference_mode():
        states = tower.net.get_text_features(**tower.tokens([text])).last_hidden_state
        states = sentences._project(states)[0]
    # The letters of "man" come after the start and "a" in one vocabulary, as pieces after "a" in the other.
    spelled = [piece.replace("</w>", "").replace("▁", "") for piece in pieces]
    first = next(i for i in range(len(spelled)) if "".join(spelled[i:]).startswith("manis") and spelled[i])
    first -= pieces[first - 1] == "▁"  # the gap before a word belongs to it
    last = next(i for i in range(first, len(spelled)) if "".join(spelled[first : i + 1]) == "man")
    np.testing.assert_allclose(vectors[1].words[1], states[first : last + 1].mean(0), atol=5e-3)


@pytest.mark.parametrize("write", [write_clip, write_siglip])
def test_before_training_the_global_level_is_zero_shot_search(tmp_path: Path, parser: SpacyParser, write: type) -> None:
    zero_shot = ClipEncoder(write(tmp_path / "tower"), "tiny", parser=parser)
    tower = zero_shot.tower
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (t, 40, 60, 3), dtype=np.uint8) for t in (12, 1, 5, 12, 7, 3)]
    expected = LevelScores(
        zero_shot.spec.levels,
        zero_shot.text_queries(zero_shot.encode_texts(CAPTIONS).vectors),
        zero_shot.encode_clips(clips),
    )
    videos = [CaptionedVideo(str(i), (caption,)) for i, caption in enumerate(CAPTIONS)]
    data = video_text(videos, tower.features(clips), TextFeaturizer(parser, TwoTowerSentences(tower)))
    preset = run._on_top_of(SMALL, tower, "features.h5")
    preset = replace(preset, model=replace(preset.model, feature_dim=tower.feature_dim))
    torch.manual_seed(0)
    matcher = mcsan_matcher(preset, data, vocabularies_of(data, preset.train)).eval()
    found = level_scores(matcher.model, data)
    wanted = expected.block(0, len(CAPTIONS))["global"]
    assert found.block(0, len(CAPTIONS))["global"] == pytest.approx(wanted, abs=1e-5)
    unfrozen = UnfrozenMatcher(matcher, TwoTowerSentences(tower), preset.text_rate).eval()
    with torch.inference_mode():
        vectors = unfrozen.encode_text(unfrozen.collate_text(data.texts))
        videos = unfrozen.encode_video(data.features, data.frame_mask)
        scores = unfrozen.model.level_scores(unit(videos), unit(vectors))
    assert scores["global"].T.numpy() == pytest.approx(wanted, abs=1e-5)


def test_other_features_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="quartet features VIDEOS --model"):
        run._on_top_of(CLIP, None, tmp_path / "resnet.h5")
