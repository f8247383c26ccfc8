"""Vocabulary of the generated world, the specification of one clip, and the splits.

A clip shows one actor doing something, or two actors in a relation whose roles matter, in a scene.
Kinds, colours, actions and scenes follow a long-tailed (Zipf) distribution, as words in real captions do.

Splits are by composition: the test split only shows (kind, action) pairs and pairs of kinds that the
training split never shows, made of kinds and actions that it does show.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from typing import Literal

import numpy as np

Split = Literal["train", "val", "test"]

# In order of frequency, the most frequent first.
KINDS = (
    "dog", "car", "ball", "cat", "bird", "boat", "robot", "fish", "truck", "balloon", "rabbit", "star",
    "plane", "box", "turtle", "rocket", "flower", "elephant", "cup", "train", "heart", "umbrella", "snail",
    "mushroom",
)  # fmt: skip
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 48, 49), "blue": (42, 98, 224), "green": (46, 160, 67), "yellow": (250, 212, 40),
    "white": (245, 245, 245), "orange": (242, 130, 30), "pink": (250, 140, 190), "purple": (134, 62, 200),
    "brown": (128, 80, 44),
}  # fmt: skip
SIZES = {"medium": 0.175, "small": 0.12, "big": 0.25}
"""Half the height of an actor, in frame heights. "medium" is never said in a caption."""
SCENES = ("park", "beach", "street", "snow", "desert", "night", "room")
ACTIONS = (
    "slide", "bounce", "spin", "roll", "jump", "fall", "rise", "shake", "circle", "grow", "swing",
    "blink", "shrink", "zigzag", "vanish", "appear", "flip",
)  # fmt: skip
RELATIONS = (
    "chase", "push", "approach", "jump over", "hit", "carry", "pull", "circle around", "land on",
    "leave", "overtake", "eat", "hide behind", "throw",
)  # fmt: skip
TEST_ACTIONS_PER_KIND, VAL_ACTIONS_PER_KIND = 3, 2
TEST_KIND_PAIRS, VAL_KIND_PAIRS = 40, 24


@dataclass(frozen=True)
class Actor:
    """One object of a clip: what it is, its colour and its size, by the words of this module."""

    kind: str
    colour: str
    size: str


@dataclass(frozen=True)
class ClipSpec:
    """Everything that a clip shows. `verb` is an action if `object` is None, else a relation.

    `seed` decides what no caption mentions: direction, speed, positions, the scene's details.
    `duration` is in seconds.
    """

    subject: Actor
    verb: str
    object: Actor | None
    scene: str
    duration: float
    seed: int

    @property
    def meaning(self) -> tuple[Actor, str, Actor | None, str]:
        """What a complete caption could tell: words cannot distinguish two clips of one meaning."""
        return (self.subject, self.verb, self.object, self.scene)


def _zipf(n: int, exponent: float) -> np.ndarray:
    weights = 1.0 / np.arange(1, n + 1) ** exponent
    return weights / weights.sum()


@cache
def _action_split(kind: str) -> dict[str, Split]:
    order = np.random.default_rng(zlib.crc32(kind.encode())).permutation(len(ACTIONS))
    held = TEST_ACTIONS_PER_KIND + VAL_ACTIONS_PER_KIND
    return {
        ACTIONS[a]: "test" if i < TEST_ACTIONS_PER_KIND else "val" if i < held else "train" for i, a in enumerate(order)
    }


@cache
def _pair_split() -> dict[frozenset[str], Split]:
    pairs = [frozenset(pair) for pair in combinations(KINDS, 2)]
    order = np.random.default_rng(7).permutation(len(pairs))
    held = TEST_KIND_PAIRS + VAL_KIND_PAIRS
    return {pairs[p]: "test" if i < TEST_KIND_PAIRS else "val" if i < held else "train" for i, p in enumerate(order)}


def split_of(subject: str, verb: str, obj: str | None) -> Split:
    """The split that alone may show this composition of kinds and verb."""
    return _action_split(subject)[verb] if obj is None else _pair_split()[frozenset((subject, obj))]


def sample_spec(rng: np.random.Generator, split: Split) -> ClipSpec:
    """One random clip of `split`; half of the clips show one actor, half show two."""
    while True:
        pair = rng.random() < 0.5
        kinds = rng.choice(len(KINDS), size=2, replace=False, p=_zipf(len(KINDS), 0.5))
        subject = _sample_actor(rng, KINDS[kinds[0]])
        obj = _sample_actor(rng, KINDS[kinds[1]]) if pair else None
        verbs = RELATIONS if pair else ACTIONS
        verb = verbs[rng.choice(len(verbs), p=_zipf(len(verbs), 0.4))]
        if split_of(subject.kind, verb, obj.kind if obj else None) == split:
            scene = SCENES[rng.choice(len(SCENES), p=_zipf(len(SCENES), 0.5))]
            return ClipSpec(subject, verb, obj, scene, _sample_duration(rng), int(rng.integers(2**31)))


def _sample_actor(rng: np.random.Generator, kind: str) -> Actor:
    colours, sizes = tuple(COLOURS), tuple(SIZES)
    return Actor(kind, colours[rng.choice(len(colours), p=_zipf(len(colours), 0.5))], sizes[rng.choice(len(sizes))])


def _sample_duration(rng: np.random.Generator) -> float:
    return float(np.round(rng.uniform(3.0, 8.0), 1))


def hard_negatives(rng: np.random.Generator, spec: ClipSpec) -> list[ClipSpec]:
    """Clips of the same split that differ from `spec` in one thing each.

    The same actors with another verb; the roles swapped (two actors) ; another colour of the subject.
    """
    pool = RELATIONS if spec.object else ACTIONS
    kinds = (spec.subject.kind, spec.object.kind if spec.object else None)
    split = split_of(kinds[0], spec.verb, kinds[1])
    verbs = [v for v in pool if v != spec.verb and split_of(kinds[0], v, kinds[1]) == split]
    colours = [c for c in COLOURS if c != spec.subject.colour]
    variants = [
        replace(spec, verb=verbs[rng.integers(len(verbs))]),
        replace(spec, subject=replace(spec.subject, colour=colours[rng.integers(len(colours))])),
    ]
    if spec.object:
        variants.insert(1, replace(spec, subject=spec.object, object=spec.subject))
    return [replace(v, seed=int(rng.integers(2**31)), duration=_sample_duration(rng)) for v in variants]


def sample_split(split: Split, count: int, seed: int) -> list[ClipSpec]:
    """`count` clips of a split, no two of one meaning, deterministic by seed.

    The validation and test splits hold a clip's hard negatives right after it; training does not
    need them, because its sampling is dense.
    """
    rng = np.random.default_rng([seed, zlib.crc32(split.encode())])
    specs: dict[tuple, ClipSpec] = {}
    for spec in _stream(rng, split):
        specs.setdefault(spec.meaning, spec)
        if len(specs) >= count:
            break
    return list(specs.values())[:count]


def _stream(rng: np.random.Generator, split: Split) -> Iterator[ClipSpec]:
    while True:
        spec = sample_spec(rng, split)
        yield spec
        if split != "train":
            yield from hard_negatives(rng, spec)
