"""What the model reads off a caption: its words, who does what, and the attributes of three levels.

`ParsedCaption` is the contract between the parser (spaCy, `model/language/spacy_parser.py`), the text towers (which
walk the graph of nodes and edges) and the explanations (which show the attributes).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

ROLES = (
    "verb", "nsubj", "nsubj:pass", "obj", "iobj", "obl", "obl:agent", "nmod", "compound",
    "conj", "acl", "advcl", "xcomp", "root", "appos", "other",
)  # fmt: skip
"""Semantic roles of a node: `verb` for verbs, else the dependency label of a noun to its head. 16, as in HANet."""


@dataclass(frozen=True)
class Node:
    """A noun or a verb of a caption.

    `words` are the positions of its span in `ParsedCaption.words` (a compound noun has several);
    `lemma` is the lemma of its head word; `role` is an index into `ROLES`. `phrase` are the positions of a noun with
    its determiner, numerals and adjectives ("two big dogs"), or of a verb alone; it is not part of the graph.
    """

    kind: str  # "noun" or "verb"
    words: tuple[int, ...]
    lemma: str
    role: int
    phrase: tuple[int, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class ParsedCaption:
    """A caption as a small graph.

    words   the words, in order, as written (punctuation left out)
    spans   (start, end) character offsets of each word in `text`
    nodes   nouns and verbs, in order of their head words
    edges   (verb node, noun node) pairs: the noun is an argument of the verb
    triplets  (subject, relation, object) lemmas; the relation is a verb ("chase"), a verb with its
              preposition ("jump over") or a bare preposition ("on"); object is "" for a verb without one
    """

    text: str
    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    nodes: tuple[Node, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()
    triplets: tuple[tuple[str, str, str], ...] = ()

    @property
    def nouns(self) -> list[str]:
        """Lemmas of the nouns, in order, each once."""
        return list(dict.fromkeys(node.lemma for node in self.nodes if node.kind == "noun"))

    @property
    def verbs(self) -> list[str]:
        """Lemmas of the verbs, in order, each once."""
        return list(dict.fromkeys(node.lemma for node in self.nodes if node.kind == "verb"))

    def attributes(self) -> Attributes:
        return Attributes(self.nouns, self.verbs, list(dict.fromkeys(" ".join(t).strip() for t in self.triplets)))


@dataclass(frozen=True)
class Attributes:
    """The words of each level: nouns (entity), verbs (action), "subject relation object" (relation)."""

    entity: list[str] = field(default_factory=list)
    action: list[str] = field(default_factory=list)
    relation: list[str] = field(default_factory=list)

    def of(self, level: str) -> list[str]:
        return {"entity": self.entity, "action": self.action, "relation": self.relation}.get(level, [])


def with_relations(attributes: Attributes, entity: list[str], action: list[str]) -> Attributes:
    """Nouns and verbs of a text that are shown, with the relations all of whose nouns and verbs are."""
    named, there = {*attributes.entity, *attributes.action}, {*entity, *action}
    parts = [(relation, named & set(relation.split())) for relation in attributes.relation]
    return Attributes(entity, action, [relation for relation, own in parts if own and own <= there])


def unknown_words(attributes: Attributes, known: Mapping[str, Collection[str]]) -> Attributes:
    """Nouns and verbs of a text that a model has no notion of, with the relations that have one of them.

    known  the words that it knows, at the levels entity and action
    """
    entity = [word for word in attributes.entity if word not in known.get("entity", ())]
    action = [word for word in attributes.action if word not in known.get("action", ())]
    foreign = {*entity, *action}
    return Attributes(entity, action, [text for text in attributes.relation if foreign & set(text.split())])


def readable(text: str) -> str:
    """A text that parsers and tokenizers can read: lone surrogates, which no encoding can hold, as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


class CaptionParser(Protocol):
    """Anything that turns captions into graphs. `name` goes into the checkpoint that was trained with it."""

    name: str

    def parse(self, texts: list[str]) -> list[ParsedCaption]: ...


def merge_attributes(attributes: Sequence[Attributes]) -> Attributes:
    """The words of several texts or clips, each once."""
    if len(attributes) == 1:
        return attributes[0]
    levels = {
        level: list(dict.fromkeys(word for one in attributes for word in one.of(level)))
        for level in ("entity", "action", "relation")
    }
    return Attributes(**levels)
