"""A caption as a dependency tree, with repairs for what parsers get wrong on captions.

`Word` is one token of a tree in Universal Dependencies (https://universaldependencies.org/u/dep/).
`repair` mends three things in place:

- verbs that were tagged as adjectives or nouns ("a man is singing", "a man cooking food", "a star spins");
- prepositions of several words ("in front of"), whose inner noun is not a noun of the caption;
- lemmas of words that the lemmatizer never saw (`model/language/lemma_rules.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model.language.lemma_rules import lemma

NOUN_TAGS = ("NOUN", "PROPN")

COMPLEX_PREPOSITIONS = tuple(
    tuple(phrase.split())
    for phrase in (
        "to the left of", "to the right of", "on the left of", "on the right of", "in the middle of",
        "in the front of", "on the top of", "in front of", "infront of", "on top of", "next to", "close to",
        "out of", "inside of", "outside of", "away from", "along with", "because of", "instead of",
    )
)  # fmt: skip

PRONOUNS = frozenset({
    "someone", "somebody", "anyone", "anybody", "everyone", "everybody", "something",
})  # fmt: skip

BE_FORMS = frozenset({
    "am", "is", "are", "was", "were", "be", "been", "being", "'s", "'re", "'m",
})  # fmt: skip

# Words in -ing that name or describe something in captions and are not action of their subject.
NOT_ACTIONS = frozenset({
    "king", "ring", "thing", "string", "spring", "wing", "sling", "ceiling", "evening", "morning",
    "building", "sibling", "pudding", "wedding", "clothing", "lightning", "earring", "railing",
    "something", "anything", "nothing", "everything", "during", "interesting",
    "amazing", "boring", "exciting", "darling", "duckling", "gosling", "viking", "herring",
    "bring",
})  # fmt: skip


@dataclass
class Word:
    """One token of a dependency tree; `head` is the index of its head, its own index for the root."""

    index: int
    text: str  # lower case
    lemma: str  # lower case
    pos: str
    dep: str
    head: int
    participle: bool = False  # a past participle ("surrounded")


def children(words: list[Word], head: int) -> list[Word]:
    """The dependents of a word, in order."""
    return [word for word in words if word.head == head and word.index != head]


def repair(words: list[Word], known: Callable[[str], bool]) -> None:
    """Mend tags, tree and lemmas in place. `known` tells whether a string is an English word."""
    for word in words:
        if word.text in PRONOUNS:
            word.pos = "PRON"
        elif word.pos in NOUN_TAGS and word.dep == "compound" and words[word.head].pos == "VERB":
            # The tagger saw the verb, the parser a compound: "frog hopping".
            subjects = [w for w in children(words, word.head) if w.dep.startswith("nsubj")]
            word.dep = "nsubj" if word.index < word.head and not subjects else "obj"
    _join_prepositions(words)
    for word in words:
        if word.lemma == "get" and word.pos == "AUX" and words[word.head].pos == "ADJ":
            _lead_with_get(words, word)
        elif _is_hidden_action(words, word):
            _make_participle(words, word)
        elif _is_hidden_finite_verb(words, word):
            _make_finite(words, word)
    for word in words:
        word.lemma = lemma(word.text, word.lemma, word.pos, known)


def _lead_with_get(words: list[Word], verb: Word) -> None:
    """Make "gets" the verb of "a balloon gets bigger" instead of its copula."""
    adjective = words[verb.head]
    root = adjective.head == adjective.index
    verb.head, verb.dep, verb.pos = (verb.index if root else adjective.head), adjective.dep, "VERB"
    for child in children(words, adjective.index):
        if child.dep != "advmod" and child is not verb:
            child.head = verb.index
    adjective.head, adjective.dep = verb.index, "xcomp"


def _is_hidden_action(words: list[Word], word: Word) -> bool:
    """Whether a noun or adjective in -ing is a verb: after a form of "be", or alone after its subject."""
    text = word.text
    if not (text.endswith("ing") and len(text) > 4) or text in NOT_ACTIONS or word.pos == "AUX":
        return False
    if word.pos == "VERB" and word.dep not in ("compound", "amod"):
        return False
    before = _previous(words, word.index)
    if before is None:
        return False
    if before.text in BE_FORMS:
        return True
    other_verbs = any(w.pos in ("VERB", "AUX") and w is not word and not _is_below(words, w, word) for w in words)
    return before.pos in NOUN_TAGS and not other_verbs


def _is_hidden_finite_verb(words: list[Word], word: Word) -> bool:
    """Whether a plural noun is a verb: "a star spins" has no plural, its article says so."""
    if word.pos != "NOUN" or not word.text.endswith("s") or word.lemma == word.text:
        return False
    below = children(words, word.index)
    article = any(child.text in ("a", "an") and child.index < word.index for child in below)
    return article and any(child.index == word.index - 1 and child.pos in NOUN_TAGS for child in below)


def _previous(words: list[Word], index: int) -> Word | None:
    """The word before, adverbs skipped ("is slowly turning")."""
    return next((word for word in reversed(words[:index]) if word.pos != "ADV"), None)


def _make_verb(words: list[Word], verb: Word) -> None:
    """Give a word the tag of a verb, and its dependents the labels that they have below a verb."""
    verb.pos = "VERB"
    for child in children(words, verb.index):
        if child.dep == "cop":
            child.dep = "aux"
        elif child.dep == "nmod" and child.index > verb.index:
            child.dep = "obl"
        elif child.dep == "acl" and any(w.dep == "cc" for w in children(words, child.index)):
            child.dep = "conj"


def _give_modifiers(words: list[Word], verb: Word, subject: Word) -> None:
    """Hang what stands before the subject, its article and adjectives, on the subject."""
    for child in children(words, verb.index):
        if child.index < subject.index:
            child.head = subject.index


def _make_finite(words: list[Word], verb: Word) -> None:
    """ "a star spins" read as one compound noun: the noun before is the subject."""
    _make_verb(words, verb)
    subject = words[verb.index - 1]
    _give_modifiers(words, verb, subject)
    subject.dep = "nsubj"


def _make_participle(words: list[Word], verb: Word) -> None:
    """Turn the tree so that a noun or adjective in -ing is the verb of its neighbours."""
    before = _previous(words, verb.index)
    head = words[verb.head]
    if verb.dep in ("compound", "amod") and head.index > verb.index:
        # "man cooking food" read as one compound: the phrase's head is the object of the verb.
        outer_head, outer_dep = (verb.index, "ROOT") if head.head == head.index else (head.head, head.dep)
        for child in children(words, head.index):
            if child.index < verb.index:
                child.head = verb.index
        head.head, head.dep = verb.index, "obj"
        verb.head, verb.dep = outer_head, outer_dep
    _make_verb(words, verb)
    if before is None or before.text in BE_FORMS:
        return
    if before.head == verb.index:
        # "man cooking": the noun takes the place of the phrase, and the verb modifies it.
        _give_modifiers(words, verb, before)
        root = verb.head == verb.index
        before.head, before.dep = (before.index, "ROOT") if root else (verb.head, verb.dep)
        verb.head, verb.dep = before.index, "acl"
    elif verb.head == before.index:
        verb.dep = "acl"


def _join_prepositions(words: list[Word]) -> None:
    texts = [word.text for word in words]
    taken = 0
    for start in range(len(words)):
        for phrase in COMPLEX_PREPOSITIONS:
            end = start + len(phrase)
            if start >= taken and tuple(texts[start:end]) == phrase:
                _attach_preposition(words, start, end)
                taken = end
                break


def _attach_preposition(words: list[Word], start: int, end: int) -> None:
    """Make words[start:end] one preposition of the noun after it."""
    inner = range(start, end)
    noun = words[words[end - 1].head]
    if noun.index < end:  # the parser hung the noun below the preposition, or there is none
        below = [w for w in words[end:] if w.head in inner and w.pos in (*NOUN_TAGS, "PRON", "NUM")]
        if not below:
            return
        noun = below[0]
    hung = [word for word in words if word.head in inner and word.index not in inner]
    labels = {word.index: word.dep for word in hung if word is not noun}
    for word in hung:
        _lift(words, word, inner)
    for index, label in labels.items():
        if not _is_below(words, noun, words[index]):
            words[index].head, words[index].dep = noun.index, label
    for i in inner:
        words[i].head, words[i].dep, words[i].pos = noun.index, "case", "ADP"


def _lift(words: list[Word], word: Word, inner: range) -> None:
    """Hang a word on the first word outside `inner` above it."""
    top = words[word.head]
    while top.head in inner and top.head != top.index:
        top = words[top.head]
    if top.head == top.index:
        word.head, word.dep = word.index, "ROOT"
    else:
        word.head = top.head
        word.dep = "obl" if words[top.head].pos in ("VERB", "AUX") else "nmod"


def _is_below(words: list[Word], word: Word, ancestor: Word) -> bool:
    while word.head != word.index:
        word = words[word.head]
        if word is ancestor:
            return True
    return False
