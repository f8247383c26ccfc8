"""Captions parsed and encoded once, and kept on disk.

    CACHE/KEY/texts.sqlite   caption -> its graph as JSON, where its vectors are, and their checksum
    CACHE/KEY/vectors.f16    rows of float16: per caption the sentence vector, then one row per word

KEY is a hash of the parser's and the sentence encoder's names and of the code between them and a `TextFeatures`, so a
newer version never reads what an older one wrote. Captions are kept in groups, each in one transaction after its
vectors are on disk: a kill costs the group in flight. Training reads vectors through a memory map, which the system
drops when memory is short.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from model.language import (
    attributes,
    clauses,
    dependency_labels,
    dependency_tree,
    lemma_rules,
    lexicon_lemmatizer,
    parsed_caption,
    sentence_encoder,
    sentence_network,
    spacy_parser,
)
from model.language.parsed_caption import Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.mcsan.text_features import TextFeatures, TextFeaturizer
from model.two_tower import sentence_encoder as two_tower_sentences
from model.two_tower import towers, transformers_network
from quartet.errors import InputError

GROUP = 512
"""Captions that are encoded and kept together."""

SOURCES = (
    attributes, clauses, dependency_labels, dependency_tree, lemma_rules, lexicon_lemmatizer, parsed_caption,
    sentence_encoder, sentence_network, spacy_parser, towers, transformers_network, two_tower_sentences,
)  # fmt: skip
"""The code that turns a caption into `TextFeatures`."""

Tell = Callable[[str], None]
Advance = Callable[[int, int], None]
"""Receives how many of how many captions are done."""

_CAPTIONS_PER_QUERY = 500  # captions per query
_SCHEMA = """
CREATE TABLE IF NOT EXISTS texts (
    caption TEXT PRIMARY KEY, graph TEXT NOT NULL, first INTEGER NOT NULL, rows INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) WITHOUT ROWID;
-- Rows of the vectors file that are taken, after each group; the file may be longer after a crash.
CREATE TABLE IF NOT EXISTS space (used INTEGER NOT NULL);
"""


class CachedTexts(Sequence[TextFeatures]):
    """The features of C captions, equal ones stored once: graphs in memory, vectors on disk.

    vectors (R, d) float16, a memory map         firsts (U,) first row of each distinct caption
    graphs  U parsed captions                    index (C,) which of them each caption is
    """

    def __init__(
        self,
        vectors: npt.NDArray[np.float16],
        firsts: npt.NDArray[np.int64],
        graphs: list[ParsedCaption],
        index: npt.NDArray[np.int64],
    ) -> None:
        self._vectors, self._firsts, self._graphs, self._index = vectors, firsts, graphs, index

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, item: int) -> TextFeatures: ...
    @overload
    def __getitem__(self, item: slice) -> list[TextFeatures]: ...
    def __getitem__(self, item: int | slice) -> TextFeatures | list[TextFeatures]:
        if isinstance(item, slice):
            return [self._one(i) for i in self._index[item]]
        return self._one(self._index[item])

    def _one(self, i: int) -> TextFeatures:
        graph, first = self._graphs[i], self._firsts[i]
        rows = self._vectors[first : first + 1 + len(graph.words)]
        return TextFeatures(graph, EncodedText(rows[0].astype(np.float32), rows[1:]))


class TextCache:
    """The captions that one parser and one sentence encoder have met; `tell` hears when damage is mended."""

    def __init__(self, folder: Path, featurizer: TextFeaturizer, tell: Tell) -> None:
        self.featurizer = featurizer
        self.folder = folder / _key(featurizer)
        self._tell = tell

    def texts(self, captions: Sequence[str], advance: Advance) -> CachedTexts:
        """The features of captions, in their order; what is not in the cache is encoded first.

        A file that is not a cache any more is thrown away, and vectors that have changed on disk are made again.
        """
        number: dict[str, int] = {}
        index = np.array([number.setdefault(caption, len(number)) for caption in captions], np.int64)
        try:
            try:
                firsts, graphs = self._provide(list(number), advance)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                self._tell(f"The text cache {self.folder} is damaged ({error}). It will be rebuilt.")
                shutil.rmtree(self.folder)
                firsts, graphs = self._provide(list(number), advance)
        except (OSError, sqlite3.OperationalError) as error:
            raise InputError(f"The text cache {self.folder} cannot be used: {error}. Name another folder.") from error
        shape = (self._vectors_file.stat().st_size // self._width, self.featurizer.sentences.dim)
        vectors = np.memmap(self._vectors_file, np.float16, "r", shape=shape)  # a kill may leave part of a row behind
        return CachedTexts(vectors, firsts, graphs, index)

    def _provide(self, captions: list[str], advance: Advance) -> tuple[npt.NDArray[np.int64], list[ParsedCaption]]:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._vectors_file.touch()
        with closing(sqlite3.connect(self.folder / "texts.sqlite", timeout=600, isolation_level=None)) as database:
            database.executescript(_SCHEMA)
            missing, damaged = self._missing(database, captions)
            if damaged:
                self._tell(f"{damaged} captions in the text cache {self.folder} are damaged. They will be rebuilt.")
            for start in range(0, len(missing), GROUP):
                advance(len(captions) - len(missing) + start, len(captions))
                self._add(database, missing[start : start + GROUP])
            advance(len(captions), len(captions))
            rows = [(first, _from_json(caption, graph)) for caption, graph, first, _, _ in _rows(database, captions)]
        return np.array([first for first, _ in rows], np.int64), [graph for _, graph in rows]

    def _missing(self, database: sqlite3.Connection, captions: list[str]) -> tuple[list[str], int]:
        """Captions that are not in the cache, in order, and how many of them were but have a wrong checksum."""
        found = sorted(
            (first, rows, graph, checksum, caption)
            for caption, graph, first, rows, checksum in _rows(database, captions)
        )
        whole, damaged = set(), []
        with self._vectors_file.open("rb") as file:
            for first, rows, graph, checksum, caption in found:
                file.seek(first * self._width)
                if _checksum(graph, file.read(rows * self._width)) == checksum:
                    whole.add(caption)
                else:
                    damaged.append((caption,))
        with _transaction(database):
            database.executemany("DELETE FROM texts WHERE caption = ?", damaged)
        return [caption for caption in captions if caption not in whole], len(damaged)

    def _add(self, database: sqlite3.Connection, captions: list[str]) -> None:
        features = self.featurizer(captions)
        with _transaction(database), self._vectors_file.open("r+b") as file:
            ((end,),) = database.execute("SELECT coalesce(max(used), 0) FROM space")
            file.seek(end * self._width)
            for caption, text in zip(captions, features, strict=True):
                rows = np.vstack([text.encoded.sentence[None].astype(np.float16), text.encoded.words])
                file.write(rows.tobytes())
                graph = _to_json(text.parse)
                values = (caption, graph, end, len(rows), _checksum(graph, rows.tobytes()))
                # Another process may have been faster: its row stays, and these vectors are idle.
                database.execute("INSERT OR IGNORE INTO texts VALUES (?, ?, ?, ?, ?)", values)
                end += len(rows)
            file.flush()
            os.fsync(file.fileno())
            database.execute("INSERT INTO space VALUES (?)", (end,))

    @property
    def _vectors_file(self) -> Path:
        return self.folder / "vectors.f16"

    @property
    def _width(self) -> int:
        """Bytes of a row of vectors."""
        return self.featurizer.sentences.dim * np.dtype(np.float16).itemsize


def _key(featurizer: TextFeaturizer) -> str:
    digest = hashlib.sha256(f"{featurizer.parser.name}\n{featurizer.sentences.name}\n".encode())
    for module in (*SOURCES, sys.modules[__name__]):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]


def _rows(database: sqlite3.Connection, captions: list[str]) -> Iterator[tuple[str, str, int, int, int]]:
    """The rows of those captions that the cache has, in their order."""
    for start in range(0, len(captions), _CAPTIONS_PER_QUERY):
        asked = captions[start : start + _CAPTIONS_PER_QUERY]
        query = f"SELECT * FROM texts WHERE caption IN ({','.join('?' * len(asked))})"
        rows = {row[0]: row for row in database.execute(query, asked)}
        yield from (rows[caption] for caption in asked if caption in rows)


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _checksum(graph: str, vectors: bytes) -> int:
    return zlib.crc32(vectors, zlib.crc32(graph.encode()))


def _to_json(graph: ParsedCaption) -> str:
    data = asdict(graph)
    del data["text"]
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def _from_json(caption: str, data: str) -> ParsedCaption:
    fields = json.loads(data)
    nodes = tuple(Node(**{name: _tuples(value) for name, value in node.items()}) for node in fields.pop("nodes"))
    return ParsedCaption(caption, nodes=nodes, **{name: _tuples(value) for name, value in fields.items()})


def _tuples(value: Any) -> Any:
    """Lists as tuples, all the way down; words, which repeat from caption to caption, are held once."""
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return sys.intern(value) if isinstance(value, str) else value
