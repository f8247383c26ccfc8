"""A word is seen, not seen, or unknown to the model; a relation is judged by its parts."""

from __future__ import annotations

import numpy as np

from model.language.parsed_caption import Attributes, unknown_words, with_relations
from model.mcsan.concept_heads import ConceptHead, ConceptReader

SAID = Attributes(["bird", "city"], ["shrink"], ["bird shrink", "bird shrink in city"])


def test_a_relation_is_seen_where_its_nouns_and_verbs_are() -> None:
    assert with_relations(SAID, ["bird"], ["shrink"]).relation == ["bird shrink"]
    assert with_relations(SAID, ["bird", "city"], ["shrink"]).relation == SAID.relation
    assert with_relations(SAID, ["bird", "city"], []).relation == []
    # A preposition alone is not part that can be seen.
    assert with_relations(Attributes([], [], ["on"]), ["bird"], []).relation == []


def test_a_relation_with_an_unknown_word_is_unknown() -> None:
    known = {"entity": {"bird", "city"}, "action": {"fly"}}
    assert unknown_words(SAID, known) == Attributes([], ["shrink"], ["bird shrink", "bird shrink in city"])
    assert unknown_words(SAID, {**known, "action": {"shrink"}}) == Attributes()


def head(level: str, *words: str, least: float = 0.0, rivalry: float = 0.0) -> ConceptHead:
    rows = {word: i for i, word in enumerate(words)}
    return ConceptHead(rows, np.eye(2, dtype=np.float32), np.zeros(2, "f"), (level,), least, rivalry)


def test_heads_judge_relations_that_no_vocabulary_has() -> None:
    reader = ConceptReader({"entity": head("entity", "bird", "city"), "action": head("action", "shrink", "fly")})
    vectors = {"entity": np.array([[4, 4], [4, -4]], "f"), "action": np.array([[4, 0], [-4, 0]], "f")}
    assert reader(vectors, [SAID, SAID]) == [SAID, Attributes(["bird"], [], [])]
    assert reader.unknown([Attributes(["zebra", "bird"], ["fly"], ["zebra fly"])]) == [
        Attributes(["zebra"], [], ["zebra fly"])
    ]


def test_a_verb_is_seen_unless_another_one_is_far_likelier() -> None:
    verbs = head("action", "shrink", "fly", least=-1.75, rivalry=1.0)
    reader = ConceptReader({"entity": head("entity", "bird", "city"), "action": verbs})
    action = np.array([[-1, -3], [-1, 0], [1, 5], [4, 5]], "f")  # log odds of "shrink" and "fly"
    vectors = {"entity": np.full((4, 2), -9, "f"), "action": action}
    found = reader(vectors, [Attributes([], ["shrink", "fly"])] * 4)
    assert [own.action for own in found] == [["shrink"], ["fly"], ["fly"], ["shrink", "fly"]]


def test_a_model_that_knows_no_verb_shows_none() -> None:
    none = ConceptHead({}, np.zeros((0, 2), "f"), np.zeros(0, "f"), ("action",), -1.75, 1.0)
    reader = ConceptReader({"entity": head("entity", "bird", "city"), "action": none})
    assert reader({"entity": np.ones((1, 2), "f"), "action": np.ones((1, 2), "f")}, [SAID]) == [
        Attributes(["bird", "city"], [], [])
    ]
