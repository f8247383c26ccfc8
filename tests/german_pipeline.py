"""A tiny German pipeline: a tagger by rules, and a parser that knows four sentences, with the labels of TIGER."""

from __future__ import annotations

from pathlib import Path

import spacy
from spacy.pipeline import AttributeRuler
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed

TAGS = {
    "ein": "DET", "eine": "DET", "den": "DET", "der": "DET", "großer": "ADJ", "rote": "ADJ", "über": "ADP",
    "auf": "ADP", "und": "CCONJ", "wird": "AUX", "Hund": "NOUN", "Katze": "NOUN", "Zaun": "NOUN", "Straße": "NOUN",
    "jagt": "VERB", "springt": "VERB", "gejagt": "VERB",
}  # fmt: skip
LEMMAS = {"jagt": "jagen", "springt": "springen", "gejagt": "jagen"}

SENTENCES = (
    ("ein großer Hund springt über den Zaun", (2, 2, 3, 3, 3, 6, 4), "nk nk sb ROOT mo nk nk"),
    ("ein Hund jagt eine rote Katze", (1, 2, 2, 5, 5, 2), "nk sb ROOT nk nk oa"),
    ("eine Katze und ein Hund jagt den Hund", (1, 5, 1, 4, 2, 5, 7, 5), "nk sb cd nk cj ROOT nk oa"),
    ("eine Katze wird auf der Straße gejagt", (1, 2, 2, 6, 5, 3, 2), "nk sb ROOT mo nk nk oc"),
)


def write_german(folder: Path) -> Path:
    fix_random_seed(0)
    nlp = spacy.blank("de", meta={"name": "tiny", "version": "1.0.0"})
    nlp.add_pipe("parser", config={"min_action_freq": 1})
    examples = [
        Example(nlp.make_doc(text), Doc(nlp.vocab, words=text.split(), heads=list(heads), deps=labels.split()))
        for text, heads, labels in SENTENCES
    ]
    nlp.initialize(lambda: examples)
    for _ in range(25):
        nlp.update(examples)
    ruler = nlp.add_pipe("attribute_ruler")
    assert isinstance(ruler, AttributeRuler)
    for word, tag in TAGS.items():
        ruler.add([[{"ORTH": word}]], {"POS": tag, "LEMMA": LEMMAS.get(word, word)})
    ruler.add([[{"ORTH": {"NOT_IN": list(TAGS)}}]], {"POS": "X"})
    nlp.to_disk(folder)
    return folder
