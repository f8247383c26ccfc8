"""Captions to graphs with a spaCy pipeline: the one that ships with the project, or any installed one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from model.attributes import graph, triplets
from model.clauses import CaptionTree
from model.clear_labels import to_universal
from model.errors import ModelError
from model.parse import ParsedCaption
from model.syntax import Word, repair

if TYPE_CHECKING:
    from spacy.tokens import Doc

BUNDLED_PIPELINE = Path(__file__).parent / "bundled" / "parser"
LONGEST_TEXT = 10_000
"""Characters of a text that are parsed; captions are far shorter, and parsing time must be bounded."""


class SpacyParser:
    """A `CaptionParser` on a spaCy pipeline with a tagger or morphologizer, a lemmatizer and a parser.

    `pipeline` is a folder or the name of an installed pipeline package; the default is the bundled one.
    `name` says which pipeline it is, its version and a hash of its files: a checkpoint records it.
    Use from one thread at a time. Raises ModelError for a pipeline that is missing, damaged or incomplete.
    """

    def __init__(self, pipeline: Path | str = BUNDLED_PIPELINE, batch_size: int = 256) -> None:
        import spacy
        from thinc.api import NumpyOps

        try:
            self._nlp = spacy.load(pipeline)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"The spaCy pipeline {str(pipeline)!r} cannot be loaded: {error}. "
                "Name the folder of a pipeline or an installed pipeline package."
            ) from error
        missing = {"parser"} - set(self._nlp.pipe_names)
        if missing:
            raise ModelError(f"The spaCy pipeline {str(pipeline)!r} has no dependency parser.")
        # BLIS, thinc's default, takes twice as long on AMD processors as NumPy's own matrix product.
        for _, component in self._nlp.pipeline:
            for layer in component.model.walk() if hasattr(component, "model") else ():
                if isinstance(layer.ops, NumpyOps):
                    layer.ops = NumpyOps(use_blis=False)
        self._batch_size = batch_size
        meta = self._nlp.meta
        self.name = f"{meta['lang']}_{meta['name']}-{meta['version']}-{_hash_files(self._nlp.path)}"

    def parse(self, texts: list[str]) -> list[ParsedCaption]:
        """One graph per text, in order. Any text is accepted; one without words has an empty graph."""
        docs = self._nlp.pipe((text[:LONGEST_TEXT] for text in texts), batch_size=self._batch_size)
        return [self._caption(text, doc) for text, doc in zip(texts, docs, strict=True)]

    def _caption(self, text: str, doc: Doc) -> ParsedCaption:
        words = [
            Word(
                token.i,
                token.lower_,
                (token.lemma_ or token.text).lower(),
                token.pos_,
                token.dep_,
                token.head.i,
                {"VerbForm=Part", "Tense=Past"} <= set(str(token.morph).split("|")),
            )
            for token in doc
        ]
        to_universal(words)
        repair(words, self._is_known)
        kept = [token for token in doc if not (token.is_punct or token.is_space)]
        positions: list[int | None] = [None] * len(doc)
        for position, token in enumerate(kept):
            positions[token.i] = position
        tree = CaptionTree(words)
        nodes, edges = graph(tree, positions)
        return ParsedCaption(
            text=text,
            words=tuple(token.text for token in kept),
            spans=tuple((token.idx, token.idx + len(token)) for token in kept),
            nodes=tuple(nodes),
            edges=tuple(edges),
            triplets=tuple(triplets(tree)),
        )

    def _is_known(self, word: str) -> bool:
        """Whether a lower-case string is a word that the pipeline has met."""
        vocab = self._nlp.vocab
        return vocab.has_vector(word) if len(vocab.vectors) else word in vocab.strings


def _hash_files(folder: Path) -> str:
    """A hash of a pipeline's files; texts for people, the licence and attribution, are not part of it."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if file.suffix not in (".md", ".txt"):
            digest.update(file.relative_to(folder).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
