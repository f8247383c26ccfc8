"""Every file of a library, damaged in turn: `verify` names it, and `repair` makes it again or says what is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from indexer.catalog.saved_searches import save_search, saved_search_list
from indexer.catalog.writer import CatalogWriter
from indexer.disk.writer_lock import writer_lock
from indexer.ingest.index_run import index_videos
from indexer.repair.library_repair import repair_library
from indexer.store.layout import thumbnail_path
from indexer.store.library import Library
from indexer.store.management import model_states
from indexer.store.search_settings import SETTINGS_FILE, SearchSettings, write_search_settings
from indexer.store.verification import verify_library
from indexer.texts.captions import add_captions
from model.fake_encoder import FakeEncoder
from quartet.errors import LibraryError


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder(frames=True)


@pytest.fixture
def library(tmp_path: Path, stand_ins: Path, encoder: FakeEncoder) -> Path:
    """Clips, with their frames, and captions; the previous generation the live one lacks the captions."""
    index_videos(tmp_path / "lib", [stand_ins], encoder, frame_vectors=True)
    (tmp_path / "texts.jsonl").write_text('{"video": "1.mp4", "captions": ["a dog running", "a cat"]}\n')
    add_captions(tmp_path / "lib", tmp_path / "texts.jsonl", encoder)
    return tmp_path / "lib"


def flip_first(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


def flip_last(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def zero_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = next(i for i in [*range(len(content) // 2, len(content)), *range(len(content))] if content[i])
    content[place] = 0
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def files_of(library: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(library)): path.read_bytes()
        for path in sorted(library.rglob("*"))
        if path.is_file() and path.name not in (".lock", "catalog.sqlite-shm")
    }


DAMAGES: tuple[Callable[[Path], None], ...] = (flip_first, flip_last, zero_middle, empty, Path.unlink)


def test_every_file_in_turn(library: Path, encoder: FakeEncoder) -> None:
    """Each file in one of five ways."""
    sound = files_of(library)
    assert verify_library(library) == []
    for number, (name, content) in enumerate(sound.items()):
        DAMAGES[number % len(DAMAGES)](library / name)
        problems = verify_library(library)
        assert problems, f"the damage to {name} was not found"
        said = " ".join(problem.detail for problem in problems)
        assert name in said or Path(name).name in said, f"{name} is not named: {said}"
        if name == "catalog.sqlite":
            # It cannot be made again: that is said, and nothing is changed.
            with pytest.raises(LibraryError, match="backup"):
                repair_library(library, lambda: encoder)
            (library / name).write_bytes(content)
            for beside in library.glob("catalog.sqlite-*"):
                beside.unlink()
            continue
        report = repair_library(library, lambda: encoder)
        assert report.healed and not report.lost, name
        assert verify_library(library) == [], name
        if (library / name).exists():
            healed = files_of(library)
            assert {n for n in sound if n != "catalog.sqlite" and healed.get(n) != sound[n]} == set(), name
        else:
            assert "000002" in name, "only what is not live may go"
            shutil.rmtree(library)
            for other, other_content in sound.items():
                (library / other).parent.mkdir(parents=True, exist_ok=True)
                (library / other).write_bytes(other_content)


@pytest.mark.parametrize("name", ["CURRENT", "identity"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_every_byte_of_a_file_of_one_line(
    library: Path, encoder: FakeEncoder, name: str, damage: Callable[[Path], None]
) -> None:
    sound = (library / name).read_bytes()
    damage(library / name)
    assert verify_library(library)
    repair_library(library, lambda: encoder)
    assert (library / name).read_bytes() == sound
    assert verify_library(library) == []


def test_lost_frames_are_encoded_again(library: Path, encoder: FakeEncoder) -> None:
    (file,) = library.glob("generations/000003/clips/0000/frames.npy")
    content = file.read_bytes()
    for other in library.glob("generations/*/clips/0000/frames.npy"):
        other.unlink()
    report = repair_library(library, lambda: encoder)
    assert report.encoded == 11 and not report.lost
    assert file.read_bytes() == content
    assert verify_library(library) == []


def test_lost_vectors_are_encoded_again_and_nothing_else(library: Path, encoder: FakeEncoder) -> None:
    (file,) = library.glob("generations/000003/clips/0000/entity.faiss")
    shutil.rmtree(library / "generations" / "000002")
    content = file.read_bytes()
    rows = bytearray(content)
    rows[-4 * encoder.dim :] = np.full(encoder.dim, 0.25, "<f4").tobytes()
    file.write_bytes(rows)
    report = repair_library(library, lambda: encoder)
    assert report.encoded == 1, "the codes say which row is lost"
    assert file.read_bytes() == content
    assert verify_library(library) == []


def test_what_cannot_be_made_again_is_said(library: Path, stand_ins: Path, encoder: FakeEncoder) -> None:
    shutil.rmtree(library / "generations" / "000002")
    (library / "generations" / "000003" / "clips" / "0000" / "entity.faiss").unlink()
    (stand_ins / "1.mp4").rename(stand_ins.parent / "1.mp4")
    with pytest.raises(LibraryError, match=r"cannot be repaired yet: The model 'fake-0' is missing"):
        repair_library(library, lambda: None)
    report = repair_library(library, lambda: encoder)
    assert any("1.mp4 was removed from the library" in line for line in report.lost)
    (stand_ins.parent / "1.mp4").rename(stand_ins / "1.mp4")
    assert verify_library(library) == []
    assert index_videos(library, [stand_ins], encoder).indexed == 1


def test_a_picture_of_no_clip_is_found_and_removed(library: Path, encoder: FakeEncoder) -> None:
    stray = thumbnail_path(library, 999)
    stray.write_bytes(b"picture")
    assert [problem.detail for problem in verify_library(library)] == [f"{stray} belongs to no clip."]
    repair_library(library, lambda: encoder)
    assert not stray.exists()


def test_a_catalogue_can_be_taken_as_it_is(library: Path, encoder: FakeEncoder) -> None:
    catalog = library / "catalog.sqlite"
    content = bytearray(catalog.read_bytes())
    place = content.index(b"a dog running")
    content[place : place + 5] = b"a fox"
    catalog.write_bytes(content)
    with pytest.raises(LibraryError, match="--accept-catalogue"):
        repair_library(library, lambda: encoder)
    repair_library(library, lambda: encoder, accept_catalogue=True)
    assert not [p for p in verify_library(library) if "has changed since Quartet wrote it" in p.detail]


def test_repairing_a_sound_library_changes_nothing(library: Path, encoder: FakeEncoder) -> None:
    before = files_of(library)
    report = repair_library(library, lambda: encoder)
    assert (report.healed, report.lost, report.encoded) == ([], [], 0)
    after = files_of(library)
    del before["catalog.sqlite"], after["catalog.sqlite"]
    assert before == after
    with Library.open(library) as opened:
        assert opened.current().name == report.generation


def test_the_generation_of_the_model_before(library: Path, stand_ins: Path, encoder: FakeEncoder) -> None:
    """It is read by `verify`, and goes where it cannot be made again: the library itself needs it not."""
    index_videos(library, [stand_ins], FakeEncoder(1, frames=True), to_model=True)
    (file,) = library.glob("generations/000003/clips/0000/entity.faiss")
    flip_last(file)
    assert [problem.detail for problem in verify_library(library)] == [f"{file} has changed since Quartet wrote it."]
    report = repair_library(library, lambda: FakeEncoder(1, frames=True))
    assert not report.lost and any("000003 was damaged and not live" in line for line in report.healed)
    assert verify_library(library) == [] and [state.what for state in model_states(library)] == ["live"]
    assert index_videos(library, [stand_ins], encoder, to_model=True).change.clips == 11  # type: ignore[union-attr]


def test_what_is_set_for_searches_cannot_be_made_again(library: Path, encoder: FakeEncoder) -> None:
    write_search_settings(library, SearchSettings(weights={"global": 2.0}))
    flip_last(library / SETTINGS_FILE)
    assert [problem.where for problem in verify_library(library)] == ["settings"]
    assert SETTINGS_FILE in repair_library(library, lambda: encoder).lost[0]


def test_a_saved_search_leaves_the_catalogue_with_a_checksum(library: Path) -> None:
    with Library.open(library) as opened:
        save_search(opened.catalog.engine, "dogs", '{"query": "a dog"}')
    catalog = library / "catalog.sqlite"
    content = bytearray(catalog.read_bytes())
    place = content.index(b"a dog running")
    content[place : place + 5] = b"a fox"
    catalog.write_bytes(content)
    assert any("has changed since Quartet wrote it" in problem.detail for problem in verify_library(library))
    with Library.open(library) as opened, pytest.raises(LibraryError, match="is damaged"):
        save_search(opened.catalog.engine, "cats", '{"query": "a cat"}')


def test_a_search_is_saved_beside_a_writer(library: Path) -> None:
    with Library.open(library) as opened:
        with closing(CatalogWriter(library / "catalog.sqlite", opened.current().manifest.levels)), writer_lock(library):
            save_search(opened.catalog.engine, "dogs", '{"query": "a dog"}')
        assert [one.name for one in saved_search_list(opened.catalog.engine)] == ["dogs"]
    assert verify_library(library) == []
