"""Repairs of dependency trees, lemma rules and the turning of ClearNLP trees, on trees written by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.language.attributes import triplets
from model.language.clauses import CaptionTree
from model.language.dependency_labels import to_universal
from model.language.dependency_tree import COMPLEX_PREPOSITIONS, Word, repair
from model.language.lemma_rules import lemma

KNOWN = {
    "cook",
    "ride",
    "hop",
    "fall",
    "leave",
    "run",
    "dance",
    "box",
    "try",
    "horse",
    "cherry",
    "eat",
    "open",
    "chase",
}


def known(word: str) -> bool:
    return word in KNOWN


def tree(*rows: str) -> list[Word]:
    """Words from "text/POS/dep/head" rows; the lemma is the text."""
    words = []
    for index, row in enumerate(rows):
        text, pos, dep, head = row.split("/")
        words.append(Word(index, text, text, pos, dep, int(head), participle=text.endswith("ed")))
    return words


def found(words: list[Word]) -> set[tuple[str, str, str]]:
    repair(words, known)
    return set(triplets(CaptionTree(words)))


@pytest.mark.parametrize(
    "words",
    [
        # One compound noun, headed by the last word or by the verb.
        tree("a/DET/det/3", "man/NOUN/compound/3", "cooking/NOUN/compound/3", "food/NOUN/ROOT/3"),
        tree("a/DET/det/2", "man/NOUN/compound/2", "cooking/NOUN/ROOT/2", "food/NOUN/obj/2"),
        # A predicate noun or adjective instead of a verb.
        tree("a/DET/det/1", "man/NOUN/nsubj/4", "is/AUX/cop/4", "cooking/NOUN/compound/4", "food/NOUN/ROOT/4"),
        tree("man/NOUN/nsubj/2", "is/AUX/cop/2", "cooking/ADJ/ROOT/2", "food/NOUN/obj/2"),
    ],
)
def test_hidden_actions_become_verbs(words: list[Word]) -> None:
    assert found(words) == {("man", "cook", "food")}


def test_singular_article_betrays_a_finite_verb() -> None:
    words = tree("a/DET/det/3", "red/ADJ/amod/3", "dog/NOUN/compound/3", "hops/NOUN/ROOT/3", "over/ADP/case/6",
                 "a/DET/det/6", "box/NOUN/nmod/3")  # fmt: skip
    words[3].lemma = "hop"
    assert found(words) == {("dog", "hop over", "box")}
    assert words[2].dep == "nsubj"


def test_get_is_a_verb_before_an_adjective() -> None:
    words = tree("a/DET/det/1", "dog/NOUN/nsubj/3", "get/AUX/cop/3", "bigger/ADJ/ROOT/3")
    assert found(words) == {("dog", "get", "")}


def test_nouns_in_ing_stay_nouns() -> None:
    words = tree("this/PRON/nsubj/3", "is/AUX/cop/3", "a/DET/det/3", "king/NOUN/ROOT/3")
    repair(words, known)
    assert words[3].pos == "NOUN"


def test_complex_preposition_read_as_a_noun() -> None:
    words = tree(
        "dog/NOUN/nsubj/1", "runs/VERB/ROOT/1", "in/ADP/case/3", "front/NOUN/obl/1",
        "of/ADP/case/6", "a/DET/det/6", "car/NOUN/nmod/3",
    )  # fmt: skip
    assert found(words) == {("dog", "run in front of", "car")}


def test_complex_preposition_as_the_predicate() -> None:
    words = tree(
        "cat/NOUN/nsubj/2", "is/AUX/cop/2", "next/ADV/ROOT/2", "to/ADP/case/5", "the/DET/det/5", "dog/NOUN/obl/2"
    )
    assert found(words) == {("cat", "next to", "dog")}


def test_clear_labels_are_turned() -> None:
    words = tree(
        "cat/NOUN/nsubjpass/2", "is/AUX/auxpass/2", "chased/VERB/ROOT/2", "by/ADP/agent/2", "dog/NOUN/pobj/3",
        "out/ADP/prep/2", "of/ADP/prep/5", "house/NOUN/pobj/6",
    )  # fmt: skip
    to_universal(words)
    assert [(word.dep, word.head) for word in words] == [
        ("nsubj:pass", 2), ("aux:pass", 2), ("ROOT", 2), ("case", 4), ("obl:agent", 2),
        ("case", 7), ("case", 7), ("obl", 2),
    ]  # fmt: skip
    words[2].lemma = "chase"
    assert found(words) == {("dog", "chase", "cat"), ("dog", "chase out of", "house")}


def test_universal_trees_are_left_alone() -> None:
    words = tree("dog/NOUN/nsubj/1", "eats/VERB/ROOT/1", "food/NOUN/obj/1")
    to_universal(words)
    assert [word.dep for word in words] == ["nsubj", "ROOT", "obj"]


@pytest.mark.parametrize(
    ("form", "proposed", "pos", "expected"),
    [
        ("riding", "rid", "VERB", "ride"),
        ("hopping", "hopp", "VERB", "hop"),
        ("falling", "fal", "VERB", "fall"),
        ("leaving", "leav", "VERB", "leave"),
        ("dancing", "danc", "VERB", "dance"),
        ("eating", "eat", "VERB", "eat"),
        ("opening", "opene", "VERB", "open"),
        ("juggling", "juggl", "VERB", "juggle"),  # not in the vocabulary: by its ending
        ("tries", "trie", "VERB", "try"),
        ("tried", "tri", "VERB", "try"),
        ("sung", "sung", "VERB", "sing"),
        ("boxes", "boxe", "NOUN", "box"),
        ("horses", "hors", "NOUN", "horse"),
        ("cherries", "cherrie", "NOUN", "cherry"),
        ("children", "children", "PROPN", "child"),
        ("glasses", "glasses", "NOUN", "glasses"),
        ("red", "red", "ADJ", "red"),
    ],
)
def test_lemma_rules(form: str, proposed: str, pos: str, expected: str) -> None:
    assert lemma(form, proposed, pos, known) == expected


@st.composite
def random_trees(draw: st.DrawFn) -> list[Word]:
    """Trees of any shape, full of complex prepositions and words in -ing."""
    pieces = [" ".join(phrase) for phrase in COMPLEX_PREPOSITIONS] + ["dog", "cooking", "is", "a", "running"]
    texts = " ".join(draw(st.lists(st.sampled_from(pieces), min_size=1, max_size=8))).split()
    order = draw(st.permutations(range(len(texts))))
    words = []
    for index, text in enumerate(texts):
        pos = draw(st.sampled_from(("NOUN", "VERB", "ADJ", "ADP", "AUX", "PRON")))
        dep = draw(st.sampled_from(("compound", "amod", "case", "obl", "nmod", "nsubj", "conj", "cop", "acl")))
        words.append(Word(index, text, text, pos, dep, index))
    for place, index in enumerate(order[1:], start=1):
        words[index].head = order[draw(st.integers(0, place - 1))]
    words[order[0]].dep = "ROOT"
    return words


@settings(max_examples=150, deadline=None, derandomize=True)
@given(random_trees())
def test_repair_keeps_a_tree(words: list[Word]) -> None:
    repair(words, known)
    for word in words:
        above, steps = word, 0
        while above.head != above.index:
            above, steps = words[above.head], steps + 1
            assert steps <= len(words), "the repaired tree has a cycle"
    triplets(CaptionTree(words))
