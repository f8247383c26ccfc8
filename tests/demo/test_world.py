"""The generated world: deterministic, split by composition, hard negatives that differ in one thing."""

from collections import Counter

import numpy as np
import pytest

from demo.captions import NOUNS, WORDINGS, captions
from demo.motion import MOTIONS, poses
from demo.render import HEIGHT, WIDTH, render_frames
from demo.world import (
    ACTIONS,
    COLOURS,
    KINDS,
    RELATIONS,
    SCENES,
    Actor,
    ClipSpec,
    hard_negatives,
    sample_spec,
    sample_split,
    split_of,
)


def composition(spec: ClipSpec) -> tuple:
    return (spec.subject.kind, spec.verb) if spec.object is None else frozenset((spec.subject.kind, spec.object.kind))


def test_the_world_is_as_large_as_promised() -> None:
    assert len(set(KINDS)) >= 20 and len(set(ACTIONS)) >= 12 and len(set(RELATIONS)) >= 10 and len(SCENES) >= 5
    assert set(MOTIONS) == set(WORDINGS) == {*ACTIONS, *RELATIONS}
    assert set(NOUNS) == set(KINDS)


def test_the_same_seed_gives_the_same_world() -> None:
    assert sample_split("test", 50, seed=3) == sample_split("test", 50, seed=3)
    assert sample_split("test", 50, seed=3) != sample_split("test", 50, seed=4)
    spec = sample_split("train", 1, seed=3)[0]
    assert captions(spec) == captions(spec)
    np.testing.assert_array_equal(render_frames(spec, [0.3]), render_frames(spec, [0.3]))


def test_test_compositions_are_never_trained_on_but_their_parts_are() -> None:
    train, test = sample_split("train", 3000, seed=0), sample_split("test", 500, seed=0)
    assert not {composition(s) for s in train} & {composition(s) for s in test}
    for part in (lambda s: s.subject.kind, lambda s: s.verb, lambda s: s.subject.colour, lambda s: s.scene):
        assert {part(s) for s in test} <= {part(s) for s in train}


def test_frequencies_have_a_long_tail() -> None:
    counts = Counter(s.subject.kind for s in sample_split("train", 4000, seed=0)).most_common()
    assert counts[0][1] > 3 * counts[-1][1]


def test_no_two_test_clips_mean_the_same() -> None:
    specs = sample_split("test", 500, seed=0)
    assert len({s.meaning for s in specs}) == 500


@pytest.mark.parametrize("seed", range(20))
def test_hard_negatives_differ_in_one_thing_and_stay_in_the_split(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spec = sample_spec(rng, "test")
    negatives = hard_negatives(rng, spec)
    assert len(negatives) == (3 if spec.object else 2)
    for other in negatives:
        changed = [f for f in ("subject", "verb", "object", "scene") if getattr(other, f) != getattr(spec, f)]
        swapped = (other.subject, other.object) == (spec.object, spec.subject)
        assert changed in (["verb"], ["subject"]) or swapped
        assert split_of(other.subject.kind, other.verb, other.object.kind if other.object else None) == "test"


@pytest.mark.parametrize("verb", [*ACTIONS, *RELATIONS])
def test_every_verb_moves_and_shows_its_actors(verb: str) -> None:
    other = Actor("cat", "blue", "small") if verb in RELATIONS else None
    spec = ClipSpec(Actor("dog", "red", "big"), verb, other, "park", 5.0, seed=11)
    moments = np.linspace(0, 1, 24)
    paths = np.array([[(p.x, p.y, p.size, p.turn, p.opacity) for p in poses(spec, u)] for u in moments])
    assert (np.ptp(paths, axis=0).max(axis=1) > 0.05).any(), "one frame would be enough"
    inside = (paths[..., 0] > -0.1) & (paths[..., 0] < 1.44) & (paths[..., 1] > -0.2) & (paths[..., 1] < 1.1)
    assert inside.mean() > 0.9
    frames = render_frames(spec, [0.0, 0.5])
    assert frames.shape == (2, HEIGHT, WIDTH, 3) and frames.dtype == np.uint8
    assert (frames[0] != frames[1]).any()


def test_mirrored_clips_are_mirror_images() -> None:
    spec = ClipSpec(Actor("car", "red", "big"), "slide", None, "park", 4.0, seed=0)
    seeds = {np.sign(poses(ClipSpec(**{**vars(spec), "seed": s}), 1.0)[0].x - 2 / 3) for s in range(12)}
    assert seeds == {-1.0, 1.0}


def test_captions_are_different_and_the_first_two_are_complete() -> None:
    for spec in sample_split("test", 200, seed=5):
        own = captions(spec)
        assert len(set(own)) == len(own) >= 5
        for text in own[:2]:
            assert spec.subject.colour in text
            assert any(noun in text for noun in NOUNS[spec.subject.kind])
            assert spec.object is None or spec.object.colour in text


def test_roles_show_in_words() -> None:
    dog, cat = Actor("dog", "red", "medium"), Actor("cat", "blue", "medium")
    a, b = (
        {c for s in range(60) for c in captions(ClipSpec(x, "push", y, "park", 4.0, s))}
        for x, y in ((dog, cat), (cat, dog))
    )
    assert not a & b
    assert set(COLOURS) >= {"red", "blue"}
