"""From captions to the padded tensors of the text tower: parse, sentence encoder, collation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model.language.parsed_caption import CaptionParser, ParsedCaption
from model.language.sentence_encoder import EncodedText, Sentences, encode_captions

if TYPE_CHECKING:
    from model.mcsan.text_tower import TextTensors


@dataclass(frozen=True)
class TextFeatures:
    """What the text tower needs of one caption, computed once and kept."""

    parse: ParsedCaption
    encoded: EncodedText


class TextFeaturizer:
    """Frozen text models in front of the trained tower: the caption parser and the sentence encoder."""

    def __init__(self, parser: CaptionParser, sentences: Sentences) -> None:
        self.parser = parser
        self.sentences = sentences

    def __call__(self, texts: Sequence[str]) -> list[TextFeatures]:
        parses = self.parser.parse(list(texts))
        vectors = encode_captions(self.sentences, parses)
        return [TextFeatures(parse, one) for parse, one in zip(parses, vectors, strict=True)]


def collate(batch: Sequence[TextFeatures]) -> TextTensors:
    """The tensors of `padded`."""
    import torch

    from model.mcsan.text_tower import TextTensors

    return TextTensors(*map(torch.from_numpy, padded(batch)), tokens=tuple(f.parse.words for f in batch))


def padded(batch: Sequence[TextFeatures]) -> tuple[npt.NDArray[Any], ...]:
    """B captions at common lengths: what `TextTensors` holds, in its order.

    At least one word, node and span slot, so that shapes never are empty.
    """
    b = len(batch)
    m = max(1, *(len(f.parse.words) for f in batch))
    k = max(1, *(len(f.parse.nodes) for f in batch))
    s = max([1, *(len(node.words) for f in batch for node in f.parse.nodes)])
    d = batch[0].encoded.words.shape[1]
    words, word_mask = np.zeros((b, m, d), np.float32), np.zeros((b, m), bool)
    spans, span_mask = np.zeros((b, k, s), np.int64), np.zeros((b, k, s), bool)
    role, node_mask = np.zeros((b, k), np.int64), np.zeros((b, k), bool)
    adjacency = np.zeros((b, k, k), bool)
    for i, f in enumerate(batch):
        n = len(f.parse.words)
        words[i, :n], word_mask[i, :n] = f.encoded.words, True
        for j, node in enumerate(f.parse.nodes):
            spans[i, j, : len(node.words)], span_mask[i, j, : len(node.words)] = node.words, True
            role[i, j], node_mask[i, j], adjacency[i, j, j] = node.role, True, True
        for verb, noun in f.parse.edges:
            adjacency[i, verb, noun] = adjacency[i, noun, verb] = True
    return (
        np.stack([f.encoded.sentence for f in batch]),
        words,
        word_mask,
        spans,
        span_mask,
        role,
        node_mask,
        adjacency,
    )
