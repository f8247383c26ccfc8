"""A spaCy component: lemmas from a lexicon where it has the word, else by the rules of `model/language/lemma_rules.py`.

A treebank settles most lemmas by its own annotation ("me" is "I", "an" is "a", "Greater" in a name is "Great"), and
English spelling settles the rest. Both are looked up by the fine-grained tag (Penn Treebank): the tag says whether
"left" is the past of "leave" (VBD) or an adjective (JJ), and whether a capital belongs to a name (NNP).

The bundled pipeline uses it; importing this module makes it known to spaCy under the name `lexicon_lemmatizer`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from spacy.language import Language
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import ensure_path
from spacy.vocab import Vocab

from model.language.lemma_rules import lemma

Lexicon = dict[str, dict[str, str]]
"""Penn tag -> lower-case form -> lemma."""

INFLECTED_VERBS = ("VBZ", "VBG", "VBN", "VBD")


def by_rule(text: str, tag: str, known: Callable[[str], bool]) -> str:
    """The lemma of a word with a Penn tag, without a lexicon. `known` tells whether a string is a word."""
    form = text.lower()
    if tag == "NNP":
        return text
    if tag in INFLECTED_VERBS:
        return lemma(form, form, "VERB", known)
    if tag in ("NNS", "NNPS"):
        singular = lemma(form, "", "NOUN", known) or form
        if tag == "NNPS":  # a name keeps its capitals: "Marines" -> "Marine", "Women" -> "Woman"
            return text[: len(singular)] if form.startswith(singular) else singular.capitalize()
        return singular
    if tag == "CD" and form.replace(",", "").isdecimal():
        return form.replace(",", "")
    return form


@Language.factory("lexicon_lemmatizer", assigns=["token.lemma"], requires=["token.tag"])
def make_lexicon_lemmatizer(nlp: Language, name: str) -> LexiconLemmatizer:
    return LexiconLemmatizer(nlp.vocab)


class LexiconLemmatizer:
    """Sets `Token.lemma_` from `Token.tag_`. Words of the vector table are what the rules take for known."""

    def __init__(self, vocab: Vocab, lexicon: Lexicon | None = None) -> None:
        self._vocab = vocab
        self.lexicon: Lexicon = lexicon or {}

    def __call__(self, doc: Doc) -> Doc:
        for token in doc:
            word = self.lexicon.get(token.tag_, {}).get(token.lower_)
            token.lemma_ = word or by_rule(token.text, token.tag_, self._vocab.has_vector)
        return doc

    def score(self, examples: Iterable[Example], **_: object) -> dict[str, float]:
        """Lemma accuracy, for `spacy.Language.evaluate`."""
        return Scorer.score_token_attr(examples, "lemma")

    def to_disk(self, path: Path | str, *, exclude: Iterable[str] = ()) -> None:
        folder = ensure_path(path)
        folder.mkdir(exist_ok=True)
        text = json.dumps(self.lexicon, ensure_ascii=False, sort_keys=True, indent=0)
        (folder / "lexicon.json").write_text(text + "\n", encoding="utf-8")

    def from_disk(self, path: Path | str, *, exclude: Iterable[str] = ()) -> LexiconLemmatizer:
        self.lexicon = json.loads((ensure_path(path) / "lexicon.json").read_text(encoding="utf-8"))
        return self
