"""Static word vectors for the parser: the input embeddings of all-MiniLM-L6-v2, reduced by PCA.

The treebank names few of the things that captions show. The sentence encoder that the project uses anyway
knows 20,000 English words; their first principal components tell the parser that "skateboard" is used like
"bicycle". The table is stored with the pipeline, so parsing needs no sentence encoder.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from spacy.strings import StringStore
from spacy.vectors import Vectors


def word_vectors(strings: StringStore, encoder: Path, width: int, limit: int) -> Vectors:
    """A (words, width) float32 vector table; the words are added to `strings`.

    `encoder` is the folder of the sentence encoder (vocab.txt, model.safetensors). Whole words of letters
    are kept, the `limit` most frequent of them: the vocabulary of BERT is in order of frequency.
    """
    words = (encoder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    keep = [i for i, word in enumerate(words) if word.isascii() and word.isalpha()][:limit]
    weights = load_file(encoder / "model.safetensors")
    table = weights["embeddings.word_embeddings.weight"][keep].astype(np.float64)
    table -= table.mean(axis=0)
    _, directions = np.linalg.eigh(table.T @ table)
    reduced = table @ directions[:, ::-1][:, :width]
    reduced /= reduced.std()
    names = [words[i] for i in keep]
    for name in names:
        strings.add(name)
    return Vectors(strings=strings, data=reduced.astype(np.float32), keys=names, attr="LOWER")
