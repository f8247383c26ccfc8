"""What a caption says at each level, as phrases for a model that was trained on pictures and their captions.

    two big dogs chase a small cat

    global     the sentence
    entity     a photo of two big dogs  |  a photo of a small cat
    action     a video of chasing a small cat
    relation   a video of two big dogs chasing a small cat

Nouns keep their adjectives and numerals. Verbs become participles, with their object at the action level and with
subject and object at the relation level: captions of pictures read like that. Passive clauses are turned round.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from model.language.lemma_rules import VOWELS
from model.language.parsed_caption import ROLES, Node, ParsedCaption
from model.levels import LEVEL_NAMES
from quartet.errors import InputError


@dataclass(frozen=True)
class Prompts:
    """One template per level; `{}` stands for the phrase."""

    entity: str = "a photo of {}"
    action: str = "a video of {}"
    relation: str = "a video of {}"

    def of(self, level: str, phrase: str) -> str:
        return getattr(self, level).format(phrase)

    def templates(self) -> dict[str, tuple[str, ...]]:
        """All of them by level, the sentence itself at the global one."""
        return {"global": ("{}",), "entity": (self.entity,), "action": (self.action,), "relation": (self.relation,)}


def filled(template: str, phrase: str) -> str:
    """A template with a phrase in place of `{}`; other braces are letters."""
    return template.replace("{}", phrase)


def checked_templates(given: Any) -> dict[str, tuple[str, ...]]:
    """Templates by level from their JSON form. Raises InputError that names what is wrong."""
    if not isinstance(given, dict) or not given:
        raise InputError(f"Prompts are a JSON object of levels, such as {_EXAMPLE}.")
    checked = {}
    for level, templates in given.items():
        if level not in LEVEL_NAMES:
            raise InputError(f"Unknown level {level!r} in the prompts. The levels are: {', '.join(LEVEL_NAMES)}.")
        if not isinstance(templates, list) or not templates or not all(isinstance(one, str) for one in templates):
            raise InputError(f"The prompts of level {level!r} must be a list of texts, such as {_EXAMPLE}.")
        for template in templates:
            if template.count("{}") != 1:
                raise InputError(
                    f"The prompt {template!r} of level {level!r} must contain {{}} exactly once, for the phrase."
                )
        checked[level] = tuple(dict.fromkeys(templates))
    return checked


_EXAMPLE = '{"entity": ["a photo of {}", "a close-up of {}"]}'


def phrases(caption: ParsedCaption) -> dict[str, list[str]]:
    """The phrases of the levels entity, action and relation, without templates, in order, each once.

    A level of which the caption says nothing has none.
    """
    nouns = {node.lemma: _written(caption, node.phrase) for node in reversed(caption.nodes) if node.kind == "noun"}
    verbs = set(caption.verbs)
    actions, relations = [], []
    for subject, relation, thing in caption.triplets:
        verb, *rest = relation.split()
        is_action = verb in verbs
        doing = [participle(verb) if is_action else verb, *rest]
        if thing:
            doing.append(nouns.get(thing, thing))
        if is_action:
            actions.append(" ".join(doing))
        relations.append(" ".join([*([nouns.get(subject, subject)] if subject else []), *doing]))
    related = {word for _, relation, _ in caption.triplets for word in relation.split()[:1]}
    actions += [
        participle(verb) for verb in caption.verbs if verb not in related
    ]  # "jumps over it": no noun, no triplet
    things = [_written(caption, node.phrase) for node in caption.nodes if node.kind == "noun"]
    found = {"entity": things, "action": actions, "relation": relations}
    return {level: list(dict.fromkeys(texts)) for level, texts in found.items()}


def phrases_as_written(caption: ParsedCaption) -> dict[str, list[str]]:
    """As `phrases`, in the words and in the order of the caption: for any language, whose grammar is not known here.

    ein großer Hund springt über den Zaun

    entity     ein großer Hund | den Zaun
    action     springt über den Zaun
    relation   ein großer Hund springt über den Zaun
    """
    nodes = caption.nodes
    heads = {place for node in nodes for place in node.words}
    actions, relations = [], []
    for place, verb in enumerate(nodes):
        if verb.kind != "verb":
            continue
        around = [nodes[noun] for of, noun in caption.edges if of == place]
        objects = [noun for noun in around if ROLES[noun.role] not in _SUBJECTS]
        actions.append(_stretch(caption, [verb, *objects], heads))
        if around:
            relations.append(_stretch(caption, [verb, *around], heads))
    things = [_joined(caption, node.phrase) for node in nodes if node.kind == "noun"]
    found = {"entity": things, "action": actions, "relation": relations}
    return {level: list(dict.fromkeys(texts)) for level, texts in found.items()}


_SUBJECTS = ("nsubj", "nsubj:pass")


def _stretch(caption: ParsedCaption, nodes: Sequence[Node], heads: Set[int]) -> str:
    """The words of nodes, with those between two of them where no other noun or verb is: a preposition, an adverb."""
    places = sorted({place for node in nodes for place in node.phrase})
    between = [
        place
        for one, other in pairwise(places)
        if not heads & set(range(one + 1, other))
        for place in range(one + 1, other)
    ]
    return _joined(caption, sorted([*places, *between]))


def with_article(noun: str) -> str:
    """A noun with its article: "a dog", "an owl"."""
    return f"an {noun}" if noun[:1] in VOWELS else f"a {noun}"


def participle(verb: str) -> str:
    """The present participle of a lemma by the rules of English spelling: "chasing", "running", "lying"."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and len(verb) > 2:
        return verb[:-1] + "ing"
    if _doubles(verb):
        return verb + verb[-1] + "ing"
    return verb + "ing"


_STRESSED_LAST = (
    "begin",
    "forget",
    "admit",
    "commit",
    "control",
    "occur",
    "prefer",
    "refer",
    "unpin",
    "unzip",
    "equip",
)
"""Verbs of two syllables whose last one is stressed: only those double their consonant."""


def _doubles(verb: str) -> bool:
    """Whether the last consonant doubles: one vowel and one consonant end a verb of one stressed syllable."""
    if len(verb) < 3 or verb[-1] in VOWELS + "wxyh" or verb[-2] not in VOWELS:
        return False
    if verb[-3] in VOWELS and not verb.startswith("qu"):
        return False
    syllables = sum(letter in VOWELS and (i == 0 or verb[i - 1] not in VOWELS) for i, letter in enumerate(verb))
    return syllables == 1 or verb in _STRESSED_LAST


def _written(caption: ParsedCaption, positions: Sequence[int]) -> str:
    return _joined(caption, positions).lower()


def _joined(caption: ParsedCaption, positions: Sequence[int]) -> str:
    return " ".join(caption.words[i] for i in positions)
