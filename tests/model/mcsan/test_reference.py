"""Towers, scores and the whole objective against `reference.py`: float64, agreement to 1e-9, every switch."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.language.parsed_caption import ROLES, Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.levels import LEVEL_NAMES
from model.mcsan.config import PAIR_VALUES, LossConfig, ModelConfig
from model.mcsan.layers import pad_features, unit
from model.mcsan.linear_parts import CONCEPT_LEVELS
from model.mcsan.network import MCSAN
from model.mcsan.text_features import TextFeatures, collate
from model.mcsan.text_tower import TextTensors
from model.training.data.batches import PairBatch, Pairs
from model.training.data.dataset import VideoText
from model.training.loop.mcsan_matcher import MCSANMatcher
from tests.model.mcsan import reference

CLOSE = {"rtol": 1e-9, "atol": 1e-10}
SIZES = {"entity": 3, "action": 2, "relation": 4}

configs = st.builds(
    ModelConfig,
    feature_dim=st.integers(2, 6),
    word_dim=st.integers(2, 6),
    sentence_dim=st.sampled_from((2, 4, 6)),
    embed_dim=st.sampled_from((4, 6, 8)),
    heads=st.sampled_from((1, 2)),
    attention_dim=st.integers(1, 5),
    bottleneck=st.sampled_from((0, 3)),
    standardise=st.booleans(),
    attention_scaled=st.booleans(),
    video_global=st.sampled_from(("gru", "gru", "mean")),
    entity_pool=st.sampled_from(("max", "top")),
    level_fc=st.booleans(),
    action_pool=st.sampled_from(("conv", "change")),
    action_input=st.sampled_from(("action", "action", "entity")),
    node_words=st.sampled_from(("linear", "linear", "gru")),
    learned_beta=st.booleans(),
    projection=st.booleans(),
    text_global_fc=st.booleans(),
    learned_weights=st.booleans(),
    centred=st.booleans(),
)
seeds = st.integers(0, 2**31)


def alike(config: ModelConfig) -> ModelConfig:
    """The same with four heads that see the same: the control `global-k`."""
    return replace(config, alike=True, global_width=5, video_global="mean", action_input="action")


def residual(config: ModelConfig) -> ModelConfig:
    """The same with the global level of two-tower features, which are in the space of the sentences."""
    return replace(config, video_global="residual", feature_dim=config.sentence_dim)


def paired(config: ModelConfig) -> ModelConfig:
    """The same with a relation level that compares ordered pairs of two or three kinds of things."""
    kinds = 2 + config.heads % 2
    return replace(config, pair_kinds=kinds, embed_dim=config.embed_dim + kinds * PAIR_VALUES)


configs = configs | configs.map(residual) | configs.map(paired)
heads = configs.map(alike)
examples = settings(max_examples=25, deadline=None, derandomize=True)


def model_of(config: ModelConfig, seed: int) -> MCSAN:
    """A model in double precision whose every parameter is random, those that start as constants too."""
    torch.manual_seed(seed)
    model = MCSAN(config, SIZES).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    for tower in (model.video, model.text):
        if tower.pairs is not None:
            tower.pairs.scale.fill_(0.7)
        if tower.centre is not None:
            for mean in tower.centre.buffers():
                mean.normal_(std=0.2)
    model.video.set_statistics(torch.randn(config.feature_dim).double(), 0.5 + torch.rand(config.feature_dim).double())
    return model


def caption(config: ModelConfig, rng: np.random.Generator, name: str = "") -> TextFeatures:
    """Nought to nine words, up to five nodes of one to three words, random edges."""
    length = int(rng.integers(0, 10))
    nodes = []
    for place in rng.permutation(length)[:5]:
        span = tuple(range(int(place), min(length, int(place) + int(rng.integers(1, 4)))))
        verb = bool(rng.random() < 0.4)
        nodes.append(Node("verb" if verb else "noun", span, "x", 0 if verb else int(rng.integers(1, len(ROLES)))))
    verbs = [i for i, node in enumerate(nodes) if node.kind == "verb"]
    nouns = [i for i, node in enumerate(nodes) if node.kind == "noun"]
    edges = tuple((v, n) for v in verbs for n in nouns if rng.random() < 0.6)
    parse = ParsedCaption(name, ("x",) * length, ((0, 1),) * length, tuple(nodes), edges)
    words = rng.standard_normal((length, config.word_dim)).astype(np.float16)
    return TextFeatures(parse, EncodedText(rng.standard_normal(config.sentence_dim).astype(np.float32), words))


def doubled(text: TextTensors) -> TextTensors:
    return replace(text, sentence=text.sentence.double(), words=text.words.double())


def reference_texts(model: MCSAN, texts: list[TextFeatures]) -> list[dict[str, np.ndarray]]:
    weights = reference.weights_of(model.text)
    return [reference.text(weights, model.config, t.encoded.sentence, t.encoded.words, t.parse) for t in texts]


def reference_videos(model: MCSAN, clips: list[torch.Tensor]) -> list[dict[str, np.ndarray]]:
    weights = reference.weights_of(model.video)
    return [reference.video(weights, model.config, clip.numpy()) for clip in clips]


@examples
@given(config=configs | heads, seed=seeds, lengths=st.lists(st.integers(1, 12), min_size=1, max_size=3))
def test_video_tower(config: ModelConfig, seed: int, lengths: list[int]) -> None:
    model = model_of(config, seed)
    clips = [torch.randn(length, config.feature_dim).double() for length in lengths]
    found = model.video(*pad_features(clips))
    for i, expected in enumerate(reference_videos(model, clips)):
        for level in LEVEL_NAMES:
            np.testing.assert_allclose(found[level][i].detach(), expected[level], err_msg=level, **CLOSE)


@examples
@given(config=configs | heads, seed=seeds, count=st.integers(1, 4))
def test_text_tower(config: ModelConfig, seed: int, count: int) -> None:
    model = model_of(config, seed)
    rng = np.random.default_rng(seed)
    texts = [caption(config, rng) for _ in range(count)]
    found = model.text(doubled(collate(texts)))
    for i, expected in enumerate(reference_texts(model, texts)):
        for level in LEVEL_NAMES:
            np.testing.assert_allclose(found[level][i].detach(), expected[level], err_msg=level, **CLOSE)


def present_of(text: TextFeatures) -> dict[str, bool]:
    kinds = {node.kind for node in text.parse.nodes}
    return {
        "global": True,
        "entity": "noun" in kinds,
        "action": "verb" in kinds,
        "relation": len(text.parse.words) > 0,
    }


@examples
@given(config=configs, seed=seeds)
def test_level_scores_and_their_fusion(config: ModelConfig, seed: int) -> None:
    """Each text against each video, levels absent from a text left out of its mean."""
    model, rng = model_of(config, seed), np.random.default_rng(seed)
    clips = [torch.randn(int(rng.integers(1, 5)), config.feature_dim).double() for _ in range(2)]
    texts = [caption(config, rng) for _ in range(3)]
    tensors = doubled(collate(texts))
    scores = model.level_scores(unit(model.video(*pad_features(clips))), unit(model.text(tensors)))
    fused = model.fuse(scores, tensors.present()).detach()
    weights = reference.weights_of(model)
    videos, vectors = (
        [{n: reference.normalised(v) for n, v in one.items()} for one in side]
        for side in (reference_videos(model, clips), reference_texts(model, texts))
    )
    for i, v in enumerate(videos):
        for j, t in enumerate(vectors):
            for level in LEVEL_NAMES:
                expected = reference.level_score(weights, level, v[level], t[level])
                assert scores[level][i, j].item() == pytest.approx(expected, rel=1e-9, abs=1e-10)
            expected = reference.fused_score(weights, v, t, present_of(texts[j]))
            assert fused[i, j].item() == pytest.approx(expected, rel=1e-9, abs=1e-10)


losses = st.builds(
    LossConfig,
    ranking=st.sampled_from(("hardest", "sum", "infonce")),
    margin=st.sampled_from((0.2, 0.25)),
    temperature=st.sampled_from((0.05, 0.5)),
    fused_ranking=st.sampled_from((0.0, 1.0, 0.5)),
    level_ranking=st.sampled_from((0.0, 0.5)),
    concept_weight=st.sampled_from((0.0, 0.1)),
    kl_weight=st.sampled_from((0.0, 0.001, 1.0)),
    kl_symmetric=st.booleans(),
    focal=st.sampled_from(("focal", "literal", "off")),
    concept_mean=st.sampled_from(("vocabulary", "batch", "twice")),
)


@settings(examples, max_examples=30)
@given(config=configs, loss=losses, seed=seeds)
def test_the_whole_objective(config: ModelConfig, loss: LossConfig, seed: int) -> None:
    """(41), from frame features and word vectors to the number that is minimised."""
    rng = np.random.default_rng(seed)
    clips = [torch.randn(int(rng.integers(1, 5)), config.feature_dim) for _ in range(3)]
    texts = [caption(config, rng, name) for name in ("a", "b", "b", "c")]
    owner = [0, 0, 1, 2]
    data = VideoText.build(clips, [[texts[0], texts[1]], [texts[2]], [texts[3]]])
    module = MCSANMatcher(model_of(config, seed), loss).double().eval()
    module.log_temperature.data.fill_(math.log(loss.temperature))  # in double precision, too
    labels = {n: (rng.random((4, k)) < 0.4).astype(float) for n, k in SIZES.items()}
    batch = double_batch(
        Pairs(data, {n: [str(i) for i in range(k)] for n, k in SIZES.items()}).collate(range(4)), labels
    )
    found = sum(term.item() for term in module.losses(batch).values())
    expected = reference_objective(module.model, loss, [clips[i].double() for i in owner], texts, labels)
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-9)


def double_batch(batch: PairBatch, labels: dict[str, np.ndarray]) -> PairBatch:
    ours = {level: torch.from_numpy(values) for level, values in labels.items()}
    return replace(
        batch, features=batch.features.double(), text=doubled(batch.text), text_labels=ours, video_labels=ours
    )


def reference_objective(
    model: MCSAN, loss: LossConfig, clips: list[torch.Tensor], texts: list[TextFeatures], labels: dict[str, np.ndarray]
) -> float:
    w = reference.weights_of(model)
    raw_v, raw_t = reference_videos(model, clips), reference_texts(model, texts)
    v, t = ([{n: reference.normalised(x) for n, x in one.items()} for one in side] for side in (raw_v, raw_t))
    present = [present_of(text) for text in texts]
    count = range(len(texts))
    # Pairs 0 and 1 are of one video, captions 1 and 2 are the same words.
    wrong = np.array([[i != j and {i, j} not in ({0, 1}, {1, 2}) for j in count] for i in count])

    def ranked(scores: np.ndarray, rows: list[int]) -> float:
        s, negative = scores[np.ix_(rows, rows)], wrong[np.ix_(rows, rows)]
        if loss.ranking == "infonce":
            return reference.info_nce(s, negative, loss.temperature)
        return reference.hinge(s, negative, loss.margin, loss.ranking == "hardest")

    total = loss.fused_ranking * ranked(
        np.array([[reference.fused_score(w, v[i], t[j], present[j]) for j in count] for i in count]), [*count]
    )
    own = []
    for n in LEVEL_NAMES:
        rows = [j for j in count if present[j][n]]
        if len(rows) > 1:
            scores = np.array([[reference.level_score(w, n, v[i][n], t[j][n]) for j in count] for i in count])
            own.append(ranked(scores, rows))
    total += loss.level_ranking * sum(own) / len(own)
    for at, n in enumerate(CONCEPT_LEVELS):
        telling = [j for j in count if present[j][n]]
        for side, rows in ((v, [*count]), (t, telling)):
            if rows:
                logits = [reference.linear(w, f"concepts.{n}", w["concept_scale"][at] * side[j][n]) for j in rows]
                total += loss.concept_weight * reference.focal_bce(
                    np.array(logits), labels[n][rows], loss.focal, loss.focal_alpha, loss.focal_gamma, loss.concept_mean
                )
        there = [reference.kl(raw_v[j][n], raw_t[j][n]) for j in telling]
        back = [reference.kl(raw_t[j][n], raw_v[j][n]) for j in telling]
        both = [(x + y) / 2 for x, y in zip(there, back, strict=True)] if loss.kl_symmetric else there
        total += loss.kl_weight * sum(both) / max(1, len(both))
    return total


def test_a_training_tower_with_dropped_frames_sees_a_shorter_clip() -> None:
    config = ModelConfig(4, 4, 3, 4, embed_dim=4, heads=1, attention_dim=2, dropout=0.0, frame_dropout=0.5)
    model, clip = model_of(config, 0), torch.randn(4, 4).double()
    shorter = {
        tuple(kept): reference_videos(model, [clip[list(kept)]])[0]
        for kept in ([i for i in range(4) if bits >> i & 1] for bits in range(1, 16))
    }
    seen = set()
    for _ in range(12):
        found = model.train().video(*pad_features([clip]))
        match = [
            kept for kept, v in shorter.items() if all(np.allclose(found[n][0].detach(), v[n]) for n in LEVEL_NAMES)
        ]
        assert len(match) == 1
        seen.add(match[0])
    assert len(seen) > 4
