"""Another model for a library that is in use: the old one answers until it is complete. And back again."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.storage.stand_in_videos import StandInPool, write_stand_in
from indexer.catalog.saved_searches import save_search
from indexer.ingest.index_run import IndexReport, index_videos
from indexer.pipeline import local_pipeline
from indexer.store.generation_swap import publish
from indexer.store.library import Library
from indexer.store.management import forget_other_models, model_states, remove_videos, tag_videos
from indexer.store.search_settings import SearchSettings, read_search_settings, write_search_settings
from indexer.store.verification import verify_library
from indexer.texts.captions import add_captions, remove_captions
from model.encoder import Frames
from model.fake_encoder import FakeEncoder
from model.levels import Vectors
from quartet.errors import FingerprintError, InputError


class Counting(FakeEncoder):
    """Counts what it encodes, and stops the run before clip number `stop_at`."""

    def __init__(self, seed: int = 1, stop_at: int | None = None) -> None:
        super().__init__(seed, dim=16 if seed == 0 else 24, frames_per_clip=4 if seed == 0 else 3)
        self.clips = self.texts = 0
        self._stop_at = stop_at

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        if self._stop_at is not None and self.clips >= self._stop_at:
            raise KeyboardInterrupt
        self.clips += len(clips)
        return super().encode_clips(clips)

    def encode_texts(self, texts: Sequence[str]):  # type: ignore[no-untyped-def]
        self.texts += len(texts)
        return super().encode_texts(texts)


@pytest.fixture
def library(tmp_path: Path, stand_ins: Path) -> Path:
    """Eleven clips of five files, two captions and a tag, by the model of seed 0."""
    folder, texts = tmp_path / "library", tmp_path / "texts.txt"
    texts.write_text("a dog running\na cat\n")
    index_videos(folder, [stand_ins], FakeEncoder())
    add_captions(folder, texts, FakeEncoder())
    tag_videos(folder, [stand_ins / "1.mp4"], add=["animals"])
    return folder


def change(library: Path, media: Path, encoder: FakeEncoder) -> IndexReport:
    return index_videos(library, [media], encoder, to_model=True)


def held(library: Path) -> dict[str, object]:
    """Ids, vectors of all galleries and tags."""
    with Library.open(library) as opened:
        live = opened.current()
        rows = {kind: live.gallery(kind).vectors(live.gallery(kind).ids.tolist()) for kind in ("clips", "captions")}
        return {
            "ids": [live.clips.ids.tolist(), live.captions.ids.tolist()],
            "vectors": {kind: {name: own[name].tobytes() for name in sorted(own)} for kind, own in rows.items()},
            "tags": opened.catalog.tags(),
        }


def test_everything_goes_over_and_back(library: Path, stand_ins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = held(library)
    read: Counter[str] = Counter()

    class Noting(StandInPool):
        def clips(self, path, *arguments, **options):  # type: ignore[no-untyped-def]
            read[path.name] += 1
            yield from super().clips(path, *arguments, **options)

    monkeypatch.setattr("indexer.pipeline.local_pipeline.DecodePool", Noting)
    new = Counting()
    report = change(library, stand_ins, new)
    assert report.change is not None and report.change.done
    assert (report.change.clips, report.change.captions, report.unchanged) == (11, 2, 5)
    assert set(read.values()) == {1}, "every file is decoded once"
    fresh = library.with_name("fresh")
    index_videos(fresh, [stand_ins], Counting())
    after = held(library)
    assert after["ids"] == before["ids"] and after["tags"] == before["tags"]
    assert after["vectors"]["clips"] == held(fresh)["vectors"]["clips"]  # type: ignore[index]
    assert verify_library(library) == []

    back = Counting(0)
    assert change(library, stand_ins, back).change is not None
    assert (back.clips, back.texts) == (0, 0), "the vectors of the model before are still there"
    assert held(library) == before
    assert verify_library(library) == []


def test_the_way_back_encodes_only_what_has_come_since(library: Path, stand_ins: Path, tmp_path: Path) -> None:
    change(library, stand_ins, Counting())
    write_stand_in(stand_ins / "6.mp4", 8)
    (stand_ins / "2.mp4").unlink()
    index_videos(library, [stand_ins], Counting())
    more = tmp_path / "more.txt"
    more.write_text("a bird singing\n")
    add_captions(library, more, Counting())
    back = Counting(0)
    change(library, stand_ins, back)
    assert (back.clips, back.texts) == (1, 1)
    fresh = library.with_name("fresh")
    index_videos(fresh, [stand_ins], FakeEncoder())
    with Library.open(library) as ours, Library.open(fresh) as other:
        for clip in other.catalog.list_clips(limit=None):
            (own,) = [
                each
                for each in ours.catalog.list_clips(limit=None)
                if (each.path, each.start) == (clip.path, clip.start)
            ]
            one, two = ours.current().clips.vectors([own.id]), other.current().clips.vectors([clip.id])
            assert all((one[name] == two[name]).all() for name in two)


def test_a_run_that_is_stopped_goes_on(library: Path, stand_ins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_pipeline, "PART", 2)
    monkeypatch.setattr(local_pipeline, "BATCH", 1)
    before = held(library)
    first = Counting(stop_at=6)
    report = change(library, stand_ins, first)
    assert report.interrupted and report.change is not None and not report.change.done
    assert 0 < report.change.left < 11
    assert held(library) == before, "the model before still answers"
    # Meanwhile the library is used, also for writing.
    index_videos(library, [stand_ins], FakeEncoder())
    remove_captions(library, ["a cat"])
    (answering, coming) = model_states(library)
    assert answering.model.fingerprint == "fake-0-16" and coming.model.fingerprint == "fake-1-24"
    assert (coming.what, coming.clips, coming.captions) == ("next", 11 - report.change.left, 1)
    second = Counting()
    done = change(library, stand_ins, second)
    assert done.change is not None and done.change.done
    assert first.clips + second.clips <= 11 + 2, "no more than the clips in flight are encoded twice"
    assert done.change.clips == report.change.left
    assert verify_library(library) == []


def test_another_model_is_not_taken_by_mistake(library: Path, stand_ins: Path) -> None:
    with pytest.raises(FingerprintError):
        index_videos(library, [stand_ins], Counting())
    with pytest.raises(InputError, match="another segmentation"):
        from indexer.media.segmentation import Segmentation

        index_videos(library, [stand_ins], Counting(), to_model=True, segmentation=Segmentation("window"))


def test_no_video_is_lost_by_the_change(library: Path, stand_ins: Path, tmp_path: Path) -> None:
    elsewhere = write_stand_in(tmp_path / "elsewhere" / "7.mp4", 7)
    index_videos(library, [elsewhere.parent], FakeEncoder())
    before = held(library)
    elsewhere.rename(tmp_path / "away.mp4")
    with pytest.raises(InputError, match=r"7.mp4 is gone.*fake-0 answers"):
        change(library, stand_ins, Counting())
    assert held(library) == before
    (tmp_path / "away.mp4").rename(elsewhere)
    new = Counting()
    change(library, stand_ins, new)
    assert new.clips == 1, "what was encoded before is kept"


def test_files_that_have_changed_are_new_files(library: Path, stand_ins: Path) -> None:
    write_stand_in(stand_ins / "4.mp4", 11)
    (stand_ins / "5.mp4").unlink()
    write_stand_in(stand_ins / "new.mp4", 10)
    report = change(library, stand_ins, Counting())
    assert (report.indexed, report.unchanged) == (2, 3)
    fresh = library.with_name("fresh")
    index_videos(fresh, [stand_ins], Counting())
    with Library.open(library) as ours, Library.open(fresh) as other:
        names = [sorted(video.path.name for video in each.catalog.list_videos()) for each in (ours, other)]
    assert names[0] == names[1]
    assert verify_library(library) == []


def test_what_was_fitted_waits_for_the_model_that_it_was_fitted_to(library: Path, stand_ins: Path) -> None:
    fitted = SearchSettings(weights={"global": 2.0}, weights_from="fitted to 40 captions")
    write_search_settings(library, fitted)
    with Library.open(library) as opened:
        save_search(opened.catalog.engine, "dogs", '{"query": "a dog", "min_score": 0.5}')
        save_search(opened.catalog.engine, "cats", '{"query": "a cat"}')
    report = change(library, stand_ins, Counting())
    assert report.change is not None
    assert len(report.change.fit_again) == 2
    assert "--fit-weights" in report.change.fit_again[0] and "dogs." in report.change.fit_again[1]
    assert read_search_settings(library) == SearchSettings()
    change(library, stand_ins, Counting(0))
    assert read_search_settings(library) == fitted


def test_nothing_of_what_is_removed_stays_with_the_model_before(library: Path, stand_ins: Path) -> None:
    change(library, stand_ins, Counting())
    assert [state.what for state in model_states(library)] == ["live", "before"]
    with Library.open(library) as opened:
        ids = [c.id for c in opened.catalog.list_clips(limit=None) if c.path.name == "1.mp4"]
    old = FakeEncoder()
    rows = old.encode_clips([next(iter(StandInPool(1).clips(stand_ins / "1.mp4", 4))).clip.frames])
    assert any(rows["entity"][0].tobytes() in file.read_bytes() for file in files(library))
    remove_videos(library, [stand_ins / "1.mp4"], erase_now=True)
    assert ids and not any(rows["entity"][0].tobytes() in file.read_bytes() for file in files(library))
    assert [state.what for state in model_states(library)] == ["live"]


def files(library: Path) -> list[Path]:
    return [file for file in library.rglob("*") if file.is_file()]


def test_the_model_before_can_be_forgotten(library: Path, stand_ins: Path) -> None:
    change(library, stand_ins, Counting(2))
    change(library, stand_ins, Counting(1, stop_at=0))
    assert [state.what for state in model_states(library)] == ["live", "before", "next"]
    forget_other_models(library)
    assert [state.what for state in model_states(library)] == ["live"]
    assert verify_library(library) == []


def test_a_kill_between_going_live_and_settling(
    library: Path, stand_ins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*arguments: object, **options: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("indexer.store.generation_swap.settle", killed)
        assert publish.__module__ == "indexer.store.generation_swap"
        change(library, stand_ins, Counting())
    copy = shutil.copytree(library, library.with_name("copy"))
    new = Counting()
    report = change(library, stand_ins, new)
    assert report.change is None and new.clips == 0, "it had gone live"
    assert [state.what for state in model_states(library)] == ["live", "before"]
    assert verify_library(library) == []
    # The way back is there too when any other command has finished it.
    remove_captions(copy, ["a cat"])
    assert verify_library(copy) == []
