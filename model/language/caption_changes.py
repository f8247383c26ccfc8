"""Captions with exactly one thing changed, so that they are wrong: to measure by, and to learn from.

    noun        another thing                 "a cat chases a ball"  for  "a dog chases a ball"
    verb        another action, in its form   "a dog eats a ball"
    roles       subject and object exchanged  "a ball chases a dog"
    attribute   another property              "a red dog chases a ball"  for  "a big dog chases a ball"

What takes the place comes from the captions of other videos, and no caption of the same video says it: a synonym or
another thing in the clip would not be wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.language.parsed_caption import ROLES, Node, ParsedCaption

KINDS = ("noun", "verb", "roles", "attribute")

_NO_ATTRIBUTE = frozenset(
    """a an the this that these those some any each every no another other his her its their my your our one two three
    four five six seven eight nine ten""".split()  # noqa: SIM905  easier to read and to change
)
_ENDINGS = ("ing", "ed", "s")
_PLACES = frozenset(ROLES.index(role) for role in ("obl", "nmod"))
"""Roles of nouns that mostly say where: "in the park" becomes "in the street", not "in the dog"."""

_VOICES = (("nsubj", "obj"), ("nsubj:pass", "obl:agent"))
"""Who does and whom, or the reverse: the roles that a swap exchanges, in the active and the passive voice."""


@dataclass(frozen=True)
class Change:
    """Caption number `caption` with one thing changed: `text`."""

    kind: str
    caption: int
    text: str


@dataclass(frozen=True)
class _Part:
    """Words of a caption that can be replaced: their positions, and what else could stand there (`pool`)."""

    kind: str
    pool: str
    places: tuple[int, ...]


def changes(captions: Sequence[ParsedCaption], owner: npt.NDArray[np.int64], seed: int = 0) -> list[Change]:
    """At most one change of each kind for each caption, the same for the same captions and seed."""
    parts = [_parts(caption) for caption in captions]
    pools: dict[str, dict[str, str]] = defaultdict(dict)
    words: dict[int, set[str]] = defaultdict(set)
    triplets: dict[int, set[tuple[str, str, str]]] = defaultdict(set)
    for caption, own, video in zip(captions, parts, owner.tolist(), strict=True):
        words[video] |= {word.lower() for word in caption.words} | {node.lemma for node in caption.nodes}
        triplets[video] |= set(caption.triplets)
        for part in own:
            pools[part.pool].setdefault(_written(caption, part.places), _lemma(caption, part.places))
    choices = {pool: sorted(own.items()) for pool, own in pools.items()}
    rng = np.random.default_rng(seed)
    found = []
    for number, (caption, own, video) in enumerate(zip(captions, parts, owner.tolist(), strict=True)):
        for kind in KINDS:
            if kind == "roles":
                if swapped := _exchanged(caption, triplets[video]):
                    found.append(Change(kind, number, swapped))
                continue
            of_kind = [part for part in own if part.kind == kind]
            for part in (of_kind[i] for i in rng.permutation(len(of_kind))):
                others = [
                    word
                    for word, lemma in choices[part.pool]
                    if lemma not in words[video] and not words[video].issuperset(word.lower().split())
                ]
                if others:
                    other = others[rng.integers(len(others))]
                    found.append(Change(kind, number, _replaced(caption, [(part.places, other)])))
                    break
    return found


def _parts(caption: ParsedCaption) -> list[_Part]:
    parts = []
    for node in caption.nodes:
        if node.kind == "verb":
            word = caption.words[node.words[0]].lower()
            ending = next((ending for ending in _ENDINGS if word.endswith(ending)), "")
            parts.append(_Part("verb", f"verb {ending}", node.words))
            continue
        place = "place" if node.role in _PLACES else "thing"
        number = "one" if caption.words[node.words[-1]].lower() == node.lemma else "many"
        parts.append(_Part("noun", f"noun {place} {number}", node.words))
        described = [i for i in node.phrase if i not in node.words and caption.words[i].lower() not in _NO_ATTRIBUTE]
        parts += [_Part("attribute", "attribute", (i,)) for i in described]
    return parts


def _exchanged(caption: ParsedCaption, triplets: set[tuple[str, str, str]]) -> str | None:
    """The caption with subject and object of its first verb that has both exchanged.

    None if there is no such verb, or if another caption of the same video already says it (`triplets`).
    """
    for verb in dict.fromkeys(verb for verb, _ in caption.edges):
        own: dict[str, Node] = {}
        for other, noun in caption.edges:
            if other == verb:
                own.setdefault(ROLES[caption.nodes[noun].role], caption.nodes[noun])
        for first, second in _VOICES:
            if first in own and second in own and own[first].lemma != own[second].lemma:
                pair = own[first], own[second]
                lemmas = {node.lemma for node in pair}
                if any({who, whom} == lemmas and (whom, does, who) in triplets for who, does, whom in caption.triplets):
                    continue
                swaps = [(one.phrase, _written(caption, other.phrase)) for one, other in (pair, pair[::-1])]
                return _replaced(caption, swaps)
    return None


def _lemma(caption: ParsedCaption, places: tuple[int, ...]) -> str:
    """The lemma of the noun or verb at these places; of anything else the word itself."""
    lemmas = (node.lemma for node in caption.nodes if node.words == places)
    return next(lemmas, caption.words[places[0]].lower())


def _written(caption: ParsedCaption, places: Sequence[int]) -> str:
    return caption.text[caption.spans[min(places)][0] : caption.spans[max(places)][1]]


def _replaced(caption: ParsedCaption, swaps: Sequence[tuple[Sequence[int], str]]) -> str:
    text = caption.text
    for places, other in sorted(swaps, key=lambda swap: -min(swap[0])):
        text = text[: caption.spans[min(places)][0]] + other + text[caption.spans[max(places)][1] :]
    return text
