"""Who does something to whom: two vectors whose product falls where the roles are exchanged."""

from dataclasses import replace

import numpy as np
import torch

from model.language.parsed_caption import ROLES, Attributes
from model.mcsan.concept_heads import ConceptHead, ConceptReader, RoleHead, ordered
from model.mcsan.config import PAIR_VALUES, ModelConfig
from model.mcsan.ordered_pairs import READINGS, TextPairs, VideoPairs

CONFIG = ModelConfig(feature_dim=3 * READINGS, word_dim=5, embed_dim=64, pair_kinds=3)


def clips(*tracks: torch.Tensor) -> torch.Tensor:
    """Clips of 8 frames whose features are the readings themselves, (B, 8, 3 * READINGS)."""
    return torch.stack(tracks).flatten(2)


def seen(kind: int, values: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    frames = frames.clone()
    frames[:, kind, 0], frames[:, kind, 1:] = 1.0, values
    return frames


def test_two_kinds_that_change_places_change_places_in_the_vector() -> None:
    torch.manual_seed(0)
    pairs = VideoPairs(CONFIG).eval()
    pairs.scale.fill_(1.0)
    pairs.read.weight.data, pairs.read.bias.data = torch.eye(21), torch.zeros(21)
    one, other, none = torch.randn(8, 6), torch.randn(8, 6), torch.zeros(8, 3, READINGS)
    frames = clips(seen(1, other, seen(0, one, none)), seen(1, one, seen(0, other, none)))
    mask = torch.ones(2, 8, dtype=torch.bool)
    plain, swapped = pairs(frames, mask).detach().unflatten(1, (3, PAIR_VALUES))
    torch.testing.assert_close(plain[0], swapped[1])
    torch.testing.assert_close(plain[1], swapped[0])
    assert plain[2].norm() < 0.1 * plain[0].norm()  # it is not there
    # Half of what is said of a kind compared with another changes its sign, if both are all that is seen.
    half = PAIR_VALUES // 2
    torch.testing.assert_close(plain[0, :half], -plain[1, :half], rtol=0.02, atol=0.02)


def test_frames_past_the_end_change_nothing() -> None:
    torch.manual_seed(0)
    pairs, frames = VideoPairs(CONFIG).eval(), torch.randn(1, 8, 21)
    pairs.scale.fill_(1.0)
    mask = torch.arange(8).unsqueeze(0) < 5
    torch.testing.assert_close(pairs(frames, mask), pairs(frames[:, :5], mask[:, :5]))


def test_pairs_say_nothing_before_they_are_fitted() -> None:
    assert not VideoPairs(CONFIG)(torch.randn(1, 8, 21), torch.ones(1, 8, dtype=torch.bool)).any()
    assert not TextPairs(CONFIG)(torch.randn(1, 2, 5), torch.tensor([[0, 1]]), torch.ones(1, 2, 2) > 0).any()


def test_nouns_that_exchange_their_roles_change_places_in_the_vector() -> None:
    torch.manual_seed(0)
    pairs = TextPairs(CONFIG)
    pairs.scale.fill_(1.0)
    pairs.kind.weight.data = torch.eye(4, 5) * 20
    nodes = torch.eye(5)[[0, 4, 1]].unsqueeze(0)  # kind 0, a verb, kind 1
    edges = torch.zeros(1, 3, 3, dtype=torch.bool)
    edges[0, 1, [0, 2]] = True
    roles = torch.tensor([[ROLES.index("nsubj"), 0, ROLES.index("obj")]])
    plain = pairs(nodes, roles, edges).detach().view(3, PAIR_VALUES)
    swapped = pairs(nodes, roles.flip(1), edges).detach().view(3, PAIR_VALUES)
    torch.testing.assert_close(plain[0], swapped[1], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(plain[1], swapped[0], rtol=1e-3, atol=1e-3)
    assert not pairs(nodes, roles, torch.zeros_like(edges)).any()  # without a verb there are no roles


def test_a_relation_is_read_as_who_does_whom() -> None:
    nouns = ["dog", "hot dog", "cat", "beach"]
    assert ordered("dog chase cat", nouns) == ("dog", "chase", "cat")
    assert ordered("hot dog jump over cat", nouns) == ("hot dog", "jump over", "cat")
    assert ordered("dog on beach", nouns) == ("dog", "on", "beach")
    for text in ("dog run", "dog chase", "chase cat", "dog dog", "dog cat", ""):
        assert ordered(text, nouns) is None, text


def role_head() -> RoleHead:
    """A dog is of kind 0, a cat of kind 1, a beach of none; who chases has the larger first number."""
    kinds = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)
    does = np.zeros((1, PAIR_VALUES), np.float32)
    does[0, 0] = 1
    return RoleHead({"dog": 0, "cat": 1, "beach": 2}, kinds, {"chase": 0}, does)


def test_a_hit_shows_a_relation_only_with_its_roles() -> None:
    words = {"entity": ("dog", "cat", "beach", "ball"), "action": ("chase", "watch")}
    heads = {
        level: ConceptHead(
            {word: i for i, word in enumerate(own)}, np.zeros((len(own), 2), np.float32),
            np.ones(len(own), np.float32), ("global",), 0.0, 0.0,
        )
        for level, own in words.items()
    }  # fmt: skip
    clip = np.zeros((2, 10 + 3 * PAIR_VALUES), np.float32)
    clip[0, 10], clip[0, 10 + PAIR_VALUES] = 0.5, -0.5  # the dog does it
    clip[1] = -clip[0]
    asked = Attributes(
        ["dog", "cat", "beach", "ball"],
        ["chase", "watch"],
        ["dog chase cat", "cat chase dog", "dog chase beach", "cat chase", "dog watch cat", "ball chase dog"],
    )
    vectors = {"global": np.zeros((2, 2), np.float32), "relation": clip}
    first, second = ConceptReader(heads, role_head())(vectors, [asked, asked])
    unread = ["dog watch cat", "ball chase dog"]  # unknown to the head
    assert first.relation == ["dog chase cat", "dog chase beach", *unread]
    assert second.relation == ["cat chase dog", "cat chase", *unread]
    # What the dog does is as wrong where the cat itself is not made out.
    blind = {"entity": replace(heads["entity"], rows={"dog": 0, "beach": 2, "ball": 3}), "action": heads["action"]}
    assert ConceptReader(blind, role_head())(vectors, [asked, asked])[1].relation == ["ball chase dog"]
    assert ConceptReader(heads)(vectors, [asked, asked])[0].relation == asked.relation
