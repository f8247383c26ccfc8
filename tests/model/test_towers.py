"""What must hold for the towers whatever their weights: padding and batch mates change nothing, nothing is NaN."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.config import ModelConfig
from model.layers import unit
from model.levels import LEVEL_NAMES
from model.mcsan import MCSAN
from model.parse import Node, ParsedCaption
from model.sentence import EncodedText
from model.text_features import TextFeatures, collate
from model.training.dataset import pad_features

TINY = ModelConfig(feature_dim=24, frames=6, word_dim=12, sentence_dim=8, embed_dim=16, heads=2, attention_dim=8)
SWITCHED = replace(
    TINY, bottleneck=10, standardise=True, attention_scaled=True, video_global="mean", entity_pool="top",
    learned_beta=True, projection=True, text_global_fc=True, learned_weights=True,
)  # fmt: skip


def model_of(config: ModelConfig) -> MCSAN:
    torch.manual_seed(0)
    return MCSAN(config, {"entity": 5, "action": 4, "relation": 3}).eval()


def caption(words: int, nouns: int, verbs: int, seed: int = 0) -> TextFeatures:
    """A made-up caption: its first words are nouns, the next are verbs, and every verb has every noun."""
    rng = np.random.default_rng([words, nouns, verbs, seed])
    nodes = [Node("noun", (i,), f"n{i}", 1) for i in range(nouns)]
    nodes += [Node("verb", (nouns + i,), f"v{i}", 0) for i in range(verbs)]
    edges = tuple((nouns + v, n) for v in range(verbs) for n in range(nouns))
    parse = ParsedCaption("x", tuple("x" * words), tuple((i, i + 1) for i in range(words)), tuple(nodes), edges)
    sentence = rng.standard_normal(8).astype(np.float32)
    return TextFeatures(parse, EncodedText(sentence, rng.standard_normal((words, 12)).astype(np.float16)))


CAPTIONS = [
    caption(5, 2, 1),
    caption(1, 1, 0),
    caption(3, 0, 1),
    caption(100, 30, 20),
    caption(0, 0, 0),
    caption(2, 0, 0),
]


@pytest.mark.parametrize("config", [TINY, SWITCHED], ids=["paper", "switched"])
def test_a_video_is_encoded_the_same_alone_and_among_longer_ones(config: ModelConfig) -> None:
    model = model_of(config)
    torch.manual_seed(1)
    clips = [torch.randn(n, 24) for n in (1, 2, 6, 17)]
    together = model.video(*pad_features(clips))
    for i, clip in enumerate(clips):
        alone = model.video(*pad_features([clip]))
        for level in LEVEL_NAMES:
            assert torch.isfinite(together[level][i]).all()
            torch.testing.assert_close(together[level][i], alone[level][0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("config", [TINY, SWITCHED], ids=["paper", "switched"])
def test_a_caption_is_encoded_the_same_alone_and_among_longer_ones(config: ModelConfig) -> None:
    model = model_of(config)
    together = model.text(collate(CAPTIONS))
    for i, one in enumerate(CAPTIONS):
        alone = model.text(collate([one]))
        for level in LEVEL_NAMES:
            assert torch.isfinite(together[level][i]).all()
            torch.testing.assert_close(together[level][i], alone[level][0], atol=1e-5, rtol=1e-4)


def test_absent_levels_are_zero_and_leave_the_mean() -> None:
    model = model_of(TINY)
    text = collate(CAPTIONS)
    vectors = unit(model.text(text))
    assert not vectors["entity"][2].any() and not vectors["action"][1].any() and not vectors["relation"][4].any()
    assert vectors["entity"][0].norm().item() == pytest.approx(1, abs=1e-5)
    video = unit(model.video(*pad_features([torch.randn(4, 24) for _ in range(3)])))
    scores = model.level_scores(video, vectors)
    fused = model.fuse(scores, text.present())
    only_entity = torch.stack([scores[n][:, 1] for n in ("global", "entity", "relation")]).mean(0)
    torch.testing.assert_close(fused[:, 1], only_entity)
    torch.testing.assert_close(fused[:, 4], scores["global"][:, 4])


def test_word_order_matters_to_the_relation_level_alone() -> None:
    model = model_of(TINY)
    one = caption(4, 2, 1)
    # The same words at other places: nodes point to where their words went.
    order = [3, 1, 2, 0]
    moved = [replace(n, words=tuple(order.index(w) for w in n.words)) for n in one.parse.nodes]
    other = TextFeatures(
        replace(one.parse, nodes=tuple(moved)), EncodedText(one.encoded.sentence, one.encoded.words[order])
    )
    a, b = model.text(collate([one])), model.text(collate([other]))
    torch.testing.assert_close(a["entity"], b["entity"])
    torch.testing.assert_close(a["action"], b["action"])
    assert (a["relation"] - b["relation"]).abs().max() > 1e-3


def test_roles_of_nouns_reach_the_action_level() -> None:
    model = model_of(TINY)
    torch.nn.init.normal_(model.text.role.weight)
    one = caption(3, 1, 1)
    noun, verb = one.parse.nodes
    other = TextFeatures(replace(one.parse, nodes=(replace(noun, role=3), verb)), one.encoded)
    a, b = model.text(collate([one]))["action"], model.text(collate([other]))["action"]
    assert (a - b).abs().max() > 1e-4


def test_level_specs_score_as_the_model_does() -> None:
    model = model_of(SWITCHED)
    model.head.weight.data = torch.randn(8)
    model.head.bias.data = torch.tensor(0.3)
    model.log_weights.data = torch.tensor([0.1, -0.4, 0.3, 0.8])
    video = unit(model.video(*pad_features([torch.randn(4, 24) for _ in range(3)])))
    text = unit(model.text(collate(CAPTIONS[:1])))
    queries = {**text, "global": model.head.fold_text(text["global"])}
    total, weights = torch.zeros(3), 0.0
    for spec in model.level_specs():
        raw = (video[spec.name] @ queries[spec.name][0]).detach().numpy()
        total += spec.weight * torch.from_numpy(spec.activate(raw))
        weights += spec.weight
    fused = model.fuse(model.level_scores(video, text), collate(CAPTIONS[:1]).present())[:, 0]
    torch.testing.assert_close(total / weights, fused.detach())


def test_frame_dropout_never_drops_a_whole_clip() -> None:
    model = model_of(replace(TINY, frame_dropout=0.95)).train()
    vectors = model.video(*pad_features([torch.randn(n, 24) for n in (1, 2, 6)]))
    assert all(torch.isfinite(v).all() for v in vectors.values())
