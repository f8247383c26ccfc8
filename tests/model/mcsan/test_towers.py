"""What must hold for the towers whatever their weights: padding and batch mates change nothing, nothing is NaN."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.language.parsed_caption import Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.levels import LEVEL_NAMES
from model.mcsan.config import ModelConfig
from model.mcsan.layers import pad_features, unit
from model.mcsan.linear_parts import CONCEPT_LEVELS
from model.mcsan.network import MCSAN
from model.mcsan.presets import preset
from model.mcsan.text_features import TextFeatures, collate
from model.mcsan.text_tower import TextTensors
from model.training.data.batches import Pairs
from model.training.data.dataset import VideoText
from model.training.loop.mcsan_matcher import MCSANMatcher

TINY = ModelConfig(feature_dim=24, frames=6, word_dim=12, sentence_dim=8, embed_dim=16, heads=2, attention_dim=8)
SWITCHED = replace(
    TINY, bottleneck=10, standardise=True, attention_scaled=True, video_global="mean", entity_pool="top",
    learned_beta=True, projection=True, text_global_fc=True, learned_weights=True,
)  # fmt: skip


def model_of(config: ModelConfig) -> MCSAN:
    torch.manual_seed(0)
    return MCSAN(config, {"entity": 5, "action": 4, "relation": 3}).eval()


def doubled(text: TextTensors) -> TextTensors:
    return replace(text, sentence=text.sentence.double(), words=text.words.double())


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


APART = replace(SWITCHED, bottleneck=0, level_fc=False, action_pool="change", entity_pool="max")

configurations = pytest.mark.parametrize("config", [TINY, SWITCHED, APART], ids=["paper", "switched", "apart"])
properties = settings(max_examples=15, deadline=None, derandomize=True)


def equal(together: dict[str, torch.Tensor], row: int, alone: dict[str, torch.Tensor]) -> None:
    for level in LEVEL_NAMES:
        assert torch.isfinite(together[level][row]).all()
        torch.testing.assert_close(together[level][row], alone[level][0], rtol=0, atol=1e-12)


@configurations
@properties
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=5), more=st.integers(0, 4))
def test_padding_and_batch_mates_never_change_a_video(config: ModelConfig, lengths: list[int], more: int) -> None:
    """In double precision, where rounding cannot hide a leak. What is in the padding must not matter either."""
    model = model_of(config).double()
    torch.manual_seed(1)
    clips = [torch.randn(n, 24).double() for n in lengths]
    features, mask = pad_features(clips)
    features = torch.cat([features, torch.zeros(len(clips), more, 24)], 1)
    mask = torch.cat([mask, torch.zeros(len(clips), more, dtype=torch.bool)], 1)
    together = model.video(torch.where(mask[..., None], features, 1e3 * torch.randn_like(features)), mask)
    for i, clip in enumerate(clips):
        equal(together, i, model.video(*pad_features([clip])))


@configurations
@properties
@given(chosen=st.lists(st.integers(0, len(CAPTIONS) - 1), min_size=1, max_size=4))
def test_padding_and_batch_mates_never_change_a_caption(config: ModelConfig, chosen: list[int]) -> None:
    model = model_of(config).double()
    together = model.text(doubled(collate([CAPTIONS[i] for i in chosen])))
    for row, i in enumerate(chosen):
        equal(together, row, model.text(doubled(collate([CAPTIONS[i]]))))


SMALL = {"feature_dim": 24, "word_dim": 12, "sentence_dim": 8, "embed_dim": 16, "attention_dim": 8, "heads": 2}


@pytest.mark.parametrize("name", ["paper", "demo", "plus"])
def test_the_hardest_inputs_train_without_nan(name: str) -> None:
    """No noun, no verb, one word, a hundred, none at all; a video of one frame: losses and gradients stay finite."""
    chosen = preset(name)
    small = {"bottleneck": 10} if chosen.model.bottleneck else {}
    config = replace(chosen, model=replace(chosen.model, **SMALL, **small))
    torch.manual_seed(0)
    clips = [torch.randn(n, 24) for n in (1, 2, 1, 6, 3, 1)]
    data = VideoText.build(clips, [[text] for text in CAPTIONS])
    module = MCSANMatcher(MCSAN(config.model, dict.fromkeys(CONCEPT_LEVELS, 1)), config.loss).train()
    pairs = Pairs(data, {"entity": ["n0"], "action": ["v0"], "relation": []})
    for _ in range(3):  # dropout differs
        module.zero_grad()
        losses = module.losses(pairs.collate(range(len(CAPTIONS))))
        torch.stack(list(losses.values())).sum().backward()
        assert all(torch.isfinite(loss) for loss in losses.values())
        for parameter, value in module.named_parameters():
            assert value.grad is None or torch.isfinite(value.grad).all(), parameter


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
