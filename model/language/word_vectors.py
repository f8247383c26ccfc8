"""Word vectors from a file in place of the sentence encoder's, for `ModelConfig.words == "glove"`.

A file is text, a word and its numbers to a line: `dog 0.11 -0.42 ...`, as GloVe is published
(https://nlp.stanford.edu/projects/glove/); a first line of two counts, as word2vec and fastText write it, is skipped.
Training reads it once, for the words of the training captions. They are fine-tuned and saved with the checkpoint, which
needs no file afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model.language.parsed_caption import ParsedCaption
from quartet.errors import InputError

NEW_WORD_SPREAD = 0.1
"""Standard deviation of the first numbers of a word that the file does not have; GloVe's own have about 0.4."""


class WordEmbedding(nn.Module):
    """Words -> vectors (d_w,). Row 0 is the vector of every word that the vocabulary lacks; case does not matter."""

    def __init__(self, vocabulary: Sequence[str], dim: int) -> None:
        super().__init__()
        if not vocabulary:
            raise InputError("A model with a word embedding of its own (words: glove) needs its vocabulary.")
        self.vocabulary = tuple(vocabulary)
        self._row = {word: i for i, word in enumerate(self.vocabulary, 1)}
        self.vectors = nn.Embedding(1 + len(self.vocabulary), dim)

    def forward(self, captions: Sequence[Sequence[str]], mask: Tensor) -> Tensor:
        """Vectors (B, M, d_w) of captions of at most M words; mask (B, M) is true where they have one."""
        rows = torch.zeros(mask.shape, dtype=torch.int64)
        for i, words in enumerate(captions):
            rows[i, : len(words)] = torch.tensor([self._row.get(word.lower(), 0) for word in words], dtype=torch.int64)
        return self.vectors(rows.to(mask.device)) * mask.unsqueeze(-1)


@dataclass(frozen=True)
class InitialWords:
    """What an embedding starts from: V words and vectors (1 + V, d_w), the first for unknown words.

    `given` counts the words that the file has.
    """

    vocabulary: tuple[str, ...]
    vectors: Tensor
    given: int

    @property
    def dim(self) -> int:
        return self.vectors.shape[1]

    def copy_to(self, embedding: WordEmbedding) -> None:
        """Start an embedding of this vocabulary here."""
        with torch.no_grad():
            embedding.vectors.weight.copy_(self.vectors)


def initial_words(path: Path, captions: Iterable[ParsedCaption], seed: int) -> InitialWords:
    """The words of training captions, with the file's vectors where it has them and small random ones elsewhere.

    A word that the file lacks and that occurs once gets no vector of its own: such words train the unknown one, which
    starts at the mean of the others. Raises InputError for a file that cannot be read, a broken line (by its number)
    or one that has none of the words.
    """
    counts = Counter(word.lower() for caption in captions for word in caption.words)
    given = read_word_vectors(path, counts.keys())
    if not given:
        raise InputError(f"{path} has no vector for any of the {len(counts)} words of the training captions.")
    vocabulary = tuple(sorted(word for word, count in counts.items() if word in given or count > 1))
    known = np.stack(list(given.values()))
    rng = np.random.default_rng(seed)
    vectors = rng.normal(0, NEW_WORD_SPREAD, (1 + len(vocabulary), known.shape[1])).astype(np.float32)
    vectors[0] = known.mean(0)
    for row, word in enumerate(vocabulary, 1):
        if word in given:
            vectors[row] = given[word]
    return InitialWords(vocabulary, torch.from_numpy(vectors), len(given))


def read_word_vectors(path: Path, wanted: Iterable[str]) -> dict[str, npt.NDArray[np.float32]]:
    """The vectors (d_w,) of those `wanted` words that a file has; a word that it lists twice keeps the first.

    Raises InputError that names the line for one that is not a word with as many numbers as the first line has.
    """
    chosen, found = set(wanted), dict[str, npt.NDArray[np.float32]]()
    dim = 0
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                fields = _fields(raw, path, number)
                if number == 1 and len(fields) == 2 and all(field.isdigit() for field in fields):
                    continue
                dim = dim or len(fields) - 1
                # A few of GloVe's words hold spaces ("at name@domain.com"): the numbers are the last d_w fields.
                word = " ".join(fields[: len(fields) - dim])
                if dim < 1 or not word or (len(fields) > dim + 1 and _is_number(fields[1])):
                    raise InputError(
                        f"{path}, line {number}: {len(fields) - 1} numbers, expected a word and {dim or 'its'} numbers."
                    )
                if word in chosen and word not in found:
                    found[word] = _vector(fields[-dim:], path, number)
    except OSError as error:
        raise InputError(f"The word vectors {path} cannot be read: {error.strerror}.") from error
    if not dim:
        raise InputError(f"{path} contains no word vectors.")
    return found


def _fields(raw: bytes, path: Path, number: int) -> list[str]:
    try:
        return raw.decode("utf-8").rstrip("\r\n ").split(" ")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line {number}: not UTF-8 text. Give a text file of word vectors.") from error


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _vector(fields: Sequence[str], path: Path, number: int) -> npt.NDArray[np.float32]:
    try:
        vector = np.array(fields, dtype=np.float32)
    except ValueError as error:
        raise InputError(f"{path}, line {number}: not a number among its {len(fields)} values.") from error
    if not np.isfinite(vector).all():
        raise InputError(f"{path}, line {number}: a value is not finite.")
    return vector
