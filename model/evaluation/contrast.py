"""Whether a level notices what a caption says: each caption against itself with one thing changed.

    noun        another thing                 "a cat chases a ball"  for  "a dog chases a ball"
    verb        another action, in its form   "a dog eats a ball"
    roles       subject and object exchanged  "a ball chases a dog"
    attribute   another property              "a red dog chases a ball"  for  "a big dog chases a ball"

What takes the place comes from the other captions. A level is right where the caption's own video scores higher with
the caption than with the change; equal scores are not. Chance is a half, if the level sees the change at all.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.evaluation.scores import Scores, ScoreSource
from model.language.parsed_caption import ROLES, Node, ParsedCaption

KINDS = ("noun", "verb", "roles", "attribute")

_NO_ATTRIBUTE = frozenset(
    """a an the this that these those some any each every no another other his her its their my your our one two three
    four five six seven eight nine ten""".split()  # noqa: SIM905  easier to read and to change
)
_TEXTS = 512
"""Texts whose scores with all videos are held at a time."""

_FORM = re.compile(r"(ing|ed|s|)$")


@dataclass(frozen=True)
class Change:
    """Caption number `caption` with one thing changed: `text`."""

    kind: str
    caption: int
    text: str


def changes(captions: Sequence[ParsedCaption], seed: int = 0) -> list[Change]:
    """At most one change of each kind for each caption, the same for the same captions and seed."""
    pools: dict[str, list[str]] = defaultdict(list)
    for caption in captions:
        for key, places in _parts(caption):
            pools[key].append(_written(caption, places))
    rng = np.random.default_rng(seed)
    found = []
    for number, caption in enumerate(captions):
        seen = set()
        for key, places in _parts(caption):
            kind = key.split()[0]
            others = sorted({other for other in pools[key] if other.lower() not in caption.text.lower()})
            if kind in seen or not others:
                continue
            seen.add(kind)
            found.append(Change(kind, number, _replaced(caption, [(places, others[rng.integers(len(others))])])))
        if pair := _subject_and_object(caption):
            subject, thing = pair
            swapped = [
                (subject.phrase, _written(caption, thing.phrase)),
                (thing.phrase, _written(caption, subject.phrase)),
            ]
            found.append(Change("roles", number, _replaced(caption, swapped)))
    return found


def own_scores(source: ScoreSource, videos: npt.NDArray[np.int64]) -> dict[str, Scores]:
    """By name the score of every text with its own video, (texts,): text i with videos[i]."""
    found: dict[str, list[Scores]] = {name: [] for name in source.names}
    for start in range(0, len(videos), _TEXTS):
        own = videos[start : start + _TEXTS]
        for name, matrix in source.block(start, start + len(own)).items():
            found[name].append(matrix[np.arange(len(own)), own])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def share_noticed(
    changed: Sequence[Change], plain: Mapping[str, Scores], altered: Mapping[str, Scores]
) -> dict[str, dict[str, tuple[float, int]]]:
    """By kind and name of a score: the share of changes that it notices, and of how many.

    plain    scores of the captions with their own videos, by name; altered: those of `changed` with the same videos
    A change that a score cannot be asked about, because one of both texts lacks the level, is left out of its count.
    """
    found: dict[str, dict[str, tuple[float, int]]] = {}
    for kind in KINDS:
        rows = [i for i, change in enumerate(changed) if change.kind == kind]
        captions = [changed[i].caption for i in rows]
        found[kind] = {}
        for name in plain:
            right, wrong = plain[name][captions], altered[name][rows]
            asked = np.isfinite(right) & np.isfinite(wrong)
            share = float((right > wrong)[asked].mean()) if asked.any() else float("nan")
            found[kind][name] = share, int(asked.sum())
    return found


def contrast_table(found: Mapping[str, Mapping[str, tuple[float, int]]]) -> str:
    """As Markdown: a row for each score, a column for each kind of change; percent noticed, and of how many."""
    kinds = list(found)
    lines = [f"| noticed, % of | {' | '.join(kinds)} |", f"|---|{'---|' * len(kinds)}"]
    for name in next(iter(found.values())):
        own = [found[kind][name] for kind in kinds]
        cells = [f"{100 * share:.1f} of {count}" if count else "-" for share, count in own]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _parts(caption: ParsedCaption) -> list[tuple[str, tuple[int, ...]]]:
    """What can be replaced: (kind and form, positions of its words)."""
    parts = []
    for node in caption.nodes:
        if node.kind == "verb":
            form = _FORM.search(caption.words[node.words[0]].lower())
            parts.append((f"verb {form[0] if form else ''}", node.words))
            continue
        parts.append(("noun", node.words))
        attributes = [i for i in node.phrase if i not in node.words and caption.words[i].lower() not in _NO_ATTRIBUTE]
        parts.extend(("attribute", (i,)) for i in attributes)
    return parts


def _subject_and_object(caption: ParsedCaption) -> tuple[Node, Node] | None:
    """The nouns of the first verb that has both, if they are different things."""
    subject, thing = ROLES.index("nsubj"), ROLES.index("obj")
    for verb in dict.fromkeys(verb for verb, _ in caption.edges):
        own = [caption.nodes[noun] for other, noun in caption.edges if other == verb]
        subjects, things = ([node for node in own if node.role == role] for role in (subject, thing))
        if subjects and things and subjects[0].lemma != things[0].lemma:
            return subjects[0], things[0]
    return None


def _written(caption: ParsedCaption, places: Sequence[int]) -> str:
    return caption.text[caption.spans[min(places)][0] : caption.spans[max(places)][1]]


def _replaced(caption: ParsedCaption, swaps: Sequence[tuple[Sequence[int], str]]) -> str:
    text = caption.text
    for places, other in sorted(swaps, key=lambda swap: -min(swap[0])):
        text = text[: caption.spans[min(places)][0]] + other + text[caption.spans[max(places)][1] :]
    return text
