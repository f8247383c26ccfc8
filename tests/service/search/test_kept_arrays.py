"""What is learned of a library is on disk: the next start encodes nothing. Anything else in its place is ignored."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from indexer.search.likelihood import Likelihood
from indexer.texts.captions import add_captions
from model.encoder import TextBatch
from model.fake_encoder import FakeEncoder
from service.encoders.shared_encoder import SharedEncoder
from service.search import kept_arrays
from service.search.engine import Engine
from service.settings import Settings
from tests.service.conftest import TEXTS, World


class Counting(FakeEncoder):
    """Counts the texts that it encodes."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded = 0

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        self.encoded += len(texts)
        return super().encode_texts(texts)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(kept_arrays, "learned_folder", lambda: tmp_path / "learned")
    return tmp_path / "learned"


Start = Callable[..., tuple[int, Likelihood]]


@pytest.fixture
def start(world: World, folder: Path) -> Start:
    """Start an engine over the library and stop it: how many texts it has encoded, and what it has learned."""

    def started(identity: str = "as it was") -> tuple[int, Likelihood]:
        encoder = Counting()
        shared = SharedEncoder(encoder)
        shared.identity = identity
        engine = Engine.open(Settings(library=world.library), shared).prepare()
        try:
            learned = engine.live.model.clips.fits.of(engine.generation())
        finally:
            engine.close()
        assert learned is not None
        return encoder.encoded, learned

    return started


def test_the_second_start_encodes_nothing(start: Start, world: World, tmp_path: Path) -> None:
    # From captions, and so many of each clip that they teach.
    lines = [{"video": f"{name}.mp4", "caption": f"{text}, take {i}"} for name, text in TEXTS.items() for i in range(6)]
    captions = tmp_path / "more.jsonl"
    captions.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    add_captions(world.library, captions, FakeEncoder())
    encoded, learned = start()
    assert encoded > 32
    again, read = start()
    assert again == 0
    assert (learned.basis, learned.base, learned.weak) == (read.basis, read.base, read.weak)
    assert learned.basis == "captions"
    assert np.array_equal(learned.slopes, read.slopes)
    for ours, theirs in ((learned.questions, read.questions), (learned.clips, read.clips)):
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_another_generation_or_encoder_is_learned_again(start: Start, world: World, tmp_path: Path) -> None:
    first, _ = start()
    assert start("in another precision")[0] == first
    more = tmp_path / "more.txt"
    more.write_text("a purple circle turning\n", encoding="utf-8")
    add_captions(world.library, more, FakeEncoder())
    changed, _ = start()
    assert 0 < changed < first  # sentences that have nothing to do with the library are known
    assert start()[0] == 0


def test_an_encoder_of_unknown_settings_is_not_kept(start: Start, folder: Path) -> None:
    assert start("")[0] == start("")[0] > 0
    assert not folder.exists()


@pytest.mark.parametrize("damage", ["cut", "empty", "foreign", "no zip", "other"])
def test_what_is_damaged_or_foreign_is_learned_again(start: Start, folder: Path, damage: str) -> None:
    first, learned = start()
    files = sorted(folder.iterdir())
    contents = [file.read_bytes() for file in files]
    for file, content in zip(files, reversed(contents), strict=True):
        if damage == "foreign":
            np.savez(file, other=np.zeros(3))
        else:
            others = {"cut": content[:-200], "empty": b"", "no zip": b"a file of somebody else", "other": content}
            file.write_bytes(others[damage])
    again, learned_again = start()
    assert again == first
    assert learned_again.base == learned.base
    assert start()[0] == 0


def test_a_folder_that_cannot_be_made_costs_only_time(start: Start, folder: Path) -> None:
    folder.write_text("in the way", encoding="utf-8")
    assert start()[0] == start()[0] > 0


def test_old_files_go(start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_arrays, "_MAX_FILES", 2)
    for identity in ("one", "two", "three"):
        start(identity)
    assert len(list(folder.iterdir())) == 2
    assert start("three")[0] == 0
