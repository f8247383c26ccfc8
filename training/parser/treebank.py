"""Universal Dependencies English EWT (CoNLL-U, gzip) as spaCy documents.

spaCy's own converter either merges multiword tokens ("don't" as one token) or writes their parts as if a
space stood between them ("do n't"); its English tokenizer splits them without a space. This reader keeps the
parts as tokens and the text as it was written, so that training and prediction see the same tokens.

Format: https://universaldependencies.org/format.html
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab


@dataclass
class Token:
    """One syntactic word; `head` is the position of its head in the sentence (its own for the root)."""

    form: str
    lemma: str
    upos: str
    xpos: str
    feats: str
    head: int
    deprel: str
    space: bool


@dataclass
class Sentence:
    tokens: list[Token]
    starts_document: bool


def read_sentences(path: Path) -> Iterator[Sentence]:
    """The sentences of a `.conllu.gz` file, without the empty nodes of the enhanced graph."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows: list[list[str]] = []
        starts = False
        for line in map(str.rstrip, lines):
            if line.startswith("# newdoc"):
                starts = True
            elif line and not line.startswith("#"):
                rows.append(line.split("\t"))
            elif not line and rows:
                yield Sentence(_tokens(rows), starts)
                rows, starts = [], False
        if rows:
            yield Sentence(_tokens(rows), starts)


def _tokens(rows: list[list[str]]) -> list[Token]:
    tokens: list[Token] = []
    joined: dict[int, bool] = {}  # word id -> is it followed by a space, for the words of multiword tokens
    for fields in rows:
        index, form = fields[0], fields[1]
        if "-" in index:
            first, last = map(int, index.split("-"))
            joined.update(dict.fromkeys(range(first, last), False))
            joined[last] = "SpaceAfter=No" not in fields[9]
        elif "." not in index:
            position = int(index)
            space = joined.get(position, "SpaceAfter=No" not in fields[9])
            head = int(fields[6]) - 1
            tokens.append(Token(form, fields[2], fields[3], fields[4], fields[5], head, fields[7], space))
            if head < 0:
                tokens[-1].head = position - 1
    return tokens


def caption_style(sentence: Sentence) -> Sentence:
    """The sentence as captions are written by crowds: lower case, without the final full stop."""
    tokens = [Token(**vars(token)) for token in sentence.tokens]
    is_head = {token.head for i, token in enumerate(tokens) if token.head != i}
    if len(tokens) > 1 and tokens[-1].upos == "PUNCT" and len(tokens) - 1 not in is_head:
        tokens.pop()
    for token in tokens:
        token.form = token.form.lower()
    return Sentence(tokens, sentence.starts_document)


def to_doc(vocab: Vocab, sentences: list[Sentence]) -> Doc:
    """One document of several sentences."""
    tokens: list[Token] = []
    heads: list[int] = []
    for sentence in sentences:
        heads += [len(tokens) + token.head for token in sentence.tokens]
        tokens += sentence.tokens
    return Doc(
        vocab,
        words=[t.form for t in tokens],
        spaces=[t.space for t in tokens],
        lemmas=[t.form if t.lemma == "_" else t.lemma for t in tokens],
        pos=[t.upos for t in tokens],
        tags=[t.xpos for t in tokens],
        morphs=["" if t.feats == "_" else t.feats for t in tokens],
        heads=heads,
        deps=["ROOT" if t.deprel == "root" else t.deprel for t in tokens],
    )


def documents(vocab: Vocab, sentences: list[Sentence], seed: int | None = None) -> list[Doc]:
    """One document per sentence, or, given a seed, training documents.

    For training, one to three neighbours of one source document stand together, so that the parser learns
    where sentences end, and two thirds of the sentences come a second time in caption style.
    """
    if seed is None:
        return [to_doc(vocab, [sentence]) for sentence in sentences]
    rng = random.Random(seed)
    docs: list[Doc] = []
    group: list[Sentence] = []
    size = 1
    for sentence in sentences:
        if group and (sentence.starts_document or len(group) >= size):
            docs.append(to_doc(vocab, group))
            group, size = [], rng.choice((1, 1, 2, 3))
        group.append(sentence)
    docs.append(to_doc(vocab, group))
    docs += [to_doc(vocab, [caption_style(s)]) for s in sentences if rng.random() < 2 / 3]
    return docs
