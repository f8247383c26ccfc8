"""Captions of made-up words and vectors, of any length."""

from __future__ import annotations

import numpy as np

from model.language.parsed_caption import Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.mcsan.text_features import TextFeatures

W = 12
"""The width of their vectors."""


def caption(words: int, nouns: int, verbs: int, about: int = 0) -> TextFeatures:
    """Its first words are nouns, the next are verbs; words and vectors depend on what it is `about`."""
    rng = np.random.default_rng([words, nouns, verbs, about])
    nodes = [Node("noun", (i,), f"noun{about}", 1) for i in range(nouns)]
    nodes += [Node("verb", (nouns + i,), f"verb{about}", 0) for i in range(verbs)]
    edges = tuple((nouns + v, n) for v in range(verbs) for n in range(nouns))
    said = tuple(f"w{about}x{i}" for i in range(words))
    parse = ParsedCaption(
        f"{about} {words}", said, ((0, 1),) * words, tuple(nodes), edges, ((f"noun{about}", "is", ""),)
    )
    sentence = rng.standard_normal(W).astype(np.float32)
    return TextFeatures(parse, EncodedText(sentence, rng.standard_normal((words, W)).astype(np.float16)))
