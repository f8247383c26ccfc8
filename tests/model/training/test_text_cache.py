"""Captions on disk: the same features from the cache as without, each encoded once, through kills and damage."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from model.language.parsed_caption import Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.mcsan.text_features import TextFeatures
from model.training.data import text_cache
from model.training.data.text_cache import SOURCES, CachedTexts, TextCache
from quartet.errors import InputError


class Parser:
    """Every word is a noun; one triplet."""

    name = "nouns-1"


class Sentences:
    name, dim = "noise-1", 8


class Featurizer:
    """Stands for the frozen text models; `seen` are the captions that it was given."""

    def __init__(self) -> None:
        self.parser, self.sentences = Parser(), Sentences()
        self.seen: list[str] = []

    def __call__(self, texts: Sequence[str]) -> list[TextFeatures]:
        self.seen += texts
        return [self.one(text) for text in texts]

    def one(self, text: str) -> TextFeatures:
        words = tuple(text.split())
        nodes = tuple(Node("noun", (i,), word, 1) for i, word in enumerate(words))
        graph = ParsedCaption(
            text, words, tuple((i, i + 1) for i in range(len(words))), nodes, ((0, 0),), (("a", "über", ""),)
        )
        rows = np.random.default_rng(len(text)).standard_normal((1 + len(words), 8)).astype(np.float16)
        return TextFeatures(graph, EncodedText(rows[0].astype(np.float32), rows[1:]))


CAPTIONS = ["a dog", "a cat sleeps", "a dog", "größe “x”", ""]


def open_cache(folder: Path, said: list[str] | None = None) -> TextCache:
    return TextCache(folder, Featurizer(), (said if said is not None else []).append)  # type: ignore[arg-type]


def check(texts: CachedTexts, captions: list[str]) -> None:
    assert len(texts) == len(captions)
    for found, caption in zip(texts, captions, strict=True):
        expected = Featurizer().one(caption)
        assert found.parse == expected.parse
        assert found.encoded.sentence.dtype == np.float32 and found.encoded.words.dtype == np.float16
        np.testing.assert_array_equal(found.encoded.sentence, expected.encoded.sentence)
        np.testing.assert_array_equal(found.encoded.words, expected.encoded.words)


def test_captions_are_encoded_once_whatever_asks_for_them(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    cache = open_cache(tmp_path)
    texts = cache.texts(CAPTIONS, lambda done, total: steps.append((done, total)))
    check(texts, CAPTIONS)
    check(texts[1:3], CAPTIONS[1:3])  # type: ignore[arg-type]
    assert texts[0].parse is texts[2].parse
    assert cache.featurizer.seen == ["a dog", "a cat sleeps", "größe “x”", ""]  # type: ignore[attr-defined]
    assert steps == [(0, 4), (4, 4)]
    again = open_cache(tmp_path)
    check(again.texts(["a cat sleeps", "new", "a dog"], lambda *_: None), ["a cat sleeps", "new", "a dog"])
    assert again.featurizer.seen == ["new"]  # type: ignore[attr-defined]


def test_another_parser_or_encoder_has_a_cache_of_its_own(tmp_path: Path) -> None:
    cache, other = open_cache(tmp_path), Featurizer()
    cache.texts(CAPTIONS, lambda *_: None)
    other.parser.name = "nouns-2"
    TextCache(tmp_path, other, print).texts(CAPTIONS, lambda *_: None)  # type: ignore[arg-type]
    assert len(other.seen) == 4 and len(list(tmp_path.iterdir())) == 2


def test_a_kill_costs_the_group_in_flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_cache, "GROUP", 2)
    killed, captions = open_cache(tmp_path), [f"caption {i}" for i in range(5)]
    real = killed.featurizer.one  # type: ignore[attr-defined]

    def deadly(text: str) -> TextFeatures:
        if text == "caption 3":
            raise KeyboardInterrupt
        return real(text)

    monkeypatch.setattr(killed.featurizer, "one", deadly)
    with pytest.raises(KeyboardInterrupt):
        killed.texts(captions, lambda *_: None)
    with (killed.folder / "vectors.f16").open("ab") as file:
        file.write(b"\x01" * 41)  # what a kill in the middle of a write leaves
    cache = open_cache(tmp_path)
    check(cache.texts(captions, lambda *_: None), captions)
    assert cache.featurizer.seen == captions[2:]  # type: ignore[attr-defined]


def test_damage_is_found_told_and_mended(tmp_path: Path) -> None:
    cache = open_cache(tmp_path)
    cache.texts(CAPTIONS, lambda *_: None)
    vectors, database = cache.folder / "vectors.f16", cache.folder / "texts.sqlite"
    content = bytearray(vectors.read_bytes())
    content[20] ^= 1  # in the words of the first caption
    vectors.write_bytes(content)
    said: list[str] = []
    again = open_cache(tmp_path, said)
    check(again.texts(CAPTIONS, lambda *_: None), CAPTIONS)
    assert again.featurizer.seen == ["a dog"] and "1 captions" in said[0] and "damaged" in said[0]  # type: ignore[attr-defined]
    vectors.write_bytes(b"")
    check(open_cache(tmp_path).texts(CAPTIONS, lambda *_: None), CAPTIONS)
    database.write_bytes(b"no database" * 1000)
    check(open_cache(tmp_path, said).texts(CAPTIONS, lambda *_: None), CAPTIONS)
    assert len(said) == 2 and "It will be rebuilt" in said[1]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"text cache .*file.* cannot be used.*Name another folder"):
        open_cache(tmp_path / "file").texts(CAPTIONS, lambda *_: None)


def test_the_key_covers_the_code_that_makes_the_features() -> None:
    """Whatever the parser and the sentence encoder import is hashed, but for errors, levels, devices and folders.

    And but for CUDA graphs, which training does not use.
    """
    covered = {module.__name__ for module in SOURCES}
    found = set()
    for module in SOURCES:
        for line in Path(str(module.__file__)).read_text().splitlines():
            if line.startswith("from model."):
                found.add(line.split()[1])
    assert found - covered == {
        "model.cpu_backend", "model.cuda_graphs", "model.device", "model.encoder", "model.levels",
        "model.precision", "model.two_tower.layouts", "model.two_tower.loaded_network",
        "model.two_tower.prepared_models", "model.two_tower.safe_loading",
    }  # fmt: skip
