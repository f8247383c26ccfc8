"""The words of the generated captions: nouns and verbs with their forms, from the treebank and `lexicon.toml`."""

from __future__ import annotations

import tomllib
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from treebank import Sentence

_LEXICON = tomllib.loads((Path(__file__).parent / "lexicon.toml").read_text(encoding="utf-8"))
TRANSITIVE, INTRANSITIVE, CONTROL, ADJECTIVES, PREPOSITIONS, PARTICLES = (
    _LEXICON[name].split()
    for name in ("transitive", "intransitive", "control", "adjectives", "prepositions", "particles")
)
VOWELS = "aeiou"


def third_person(verb: str) -> str:
    if verb.endswith(("s", "sh", "ch", "x", "z", "o")):
        return verb + "es"
    return verb[:-1] + "ies" if verb.endswith("y") and verb[-2] not in VOWELS else verb + "s"


def _doubles(verb: str) -> bool:
    short = sum(letter in VOWELS for letter in verb) == 1
    return (short and verb[-1] not in "aeiouwxy" and verb[-2] in VOWELS) or verb == "zigzag"


def participle(verb: str) -> str:
    """The -ing form."""
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + "ing"
    return verb + (verb[-1] if _doubles(verb) else "") + "ing"


def past(verb: str) -> str:
    """The regular -ed form."""
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in VOWELS:
        return verb[:-1] + "ied"
    return verb + (verb[-1] if _doubles(verb) else "") + "ed"


@dataclass
class Verb:
    """The forms of a verb by Penn tag."""

    lemma: str
    forms: dict[str, str]
    transitive: bool


def lexicon(sentences: list[Sentence]) -> tuple[list[tuple[str, str, str]], list[Verb]]:
    """Nouns as (form, lemma, tag) and verbs, from the treebank and the lists above."""
    nouns: Counter[tuple[str, str, str]] = Counter()
    forms: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    with_object: Counter[str] = Counter()
    for sentence in sentences:
        for token in sentence.tokens:
            form = token.form.lower()
            if not form.isalpha() or len(form) < 3:
                continue
            if token.upos == "NOUN" and not form.endswith("ing"):
                nouns[form, token.lemma, token.xpos] += 1
            elif token.upos == "VERB":
                forms[token.lemma][token.xpos][form] += 1
            if token.deprel == "obj":
                with_object[sentence.tokens[token.head].lemma] += 1
    verbs = [_regular(v, True) for v in TRANSITIVE] + [_regular(v, False) for v in INTRANSITIVE]
    verbs *= 2  # visible actions are more frequent than the treebank's verbs
    for lemma, by_tag in forms.items():
        if {"VB", "VBZ", "VBG", "VBN"} <= set(by_tag) and lemma not in ("be", "have", "do"):
            best = {tag: counts.most_common(1)[0][0] for tag, counts in by_tag.items()}
            verbs.append(Verb(lemma, best, with_object[lemma] >= 2))
    return [noun for noun, count in nouns.items() if count >= 2], verbs


def _regular(lemma: str, transitive: bool) -> Verb:
    forms = {"VB": lemma, "VBZ": third_person(lemma), "VBG": participle(lemma), "VBN": past(lemma)}
    return Verb(lemma, forms, transitive)
