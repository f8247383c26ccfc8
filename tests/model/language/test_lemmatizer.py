"""The lexicon lemmatizer of the bundled pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example

from model.language.lexicon_lemmatizer import LexiconLemmatizer, by_rule

KNOWN = {"marine", "company", "run", "horse", "gaze"}


@pytest.mark.parametrize(
    ("text", "tag", "expected"),
    [
        ("Running", "VBG", "run"),
        ("companies", "NNS", "company"),
        ("firemen", "NNS", "fireman"),
        ("1970s", "NNS", "1970s"),
        ("s", "NNS", "s"),  # no ending to cut off
        ("Paris", "NNP", "Paris"),
        ("Marines", "NNPS", "Marine"),
        ("Women", "NNPS", "Woman"),
        ("5,000", "CD", "5000"),
        ("3.5", "CD", "3.5"),
        ("RED", "JJ", "red"),
        ("gazes", "VBZ", "gaze"),
        ("", "VBZ", ""),
    ],
)
def test_rules_by_tag(text: str, tag: str, expected: str) -> None:
    assert by_rule(text, tag, KNOWN.__contains__) == expected


def test_the_lexicon_comes_before_the_rules_and_is_stored(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    lemmatizer = nlp.add_pipe("lexicon_lemmatizer")
    assert isinstance(lemmatizer, LexiconLemmatizer)
    lemmatizer.lexicon = {"PRP": {"me": "I"}, "VBD": {"left": "leave"}}
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    words, tags = ["Me", "left", "left", "dogs"], ["PRP", "VBD", "JJ", "NNS"]
    doc = loaded.get_pipe("lexicon_lemmatizer")(Doc(loaded.vocab, words=words, tags=tags))
    assert [token.lemma_ for token in doc] == ["I", "leave", "left", "dog"]
    gold = Doc(loaded.vocab, words=words, lemmas=["I", "leave", "left", "cat"])
    assert lemmatizer.score([Example(doc, gold)]) == {"lemma_acc": 0.75}
