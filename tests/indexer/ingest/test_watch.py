"""Watching: a run at the start, one after every change that has ended, none for what does not matter."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import pytest

from indexer.ingest.folder_watch import pauses, watch_videos
from indexer.ingest.index_run import IndexReport
from model.fake_encoder import FakeEncoder
from quartet.errors import InputError


def runs(events: list[tuple[float, bool]], settle: float = 2.0) -> list[float]:
    """Times of the runs, for (time, whether something changed) as they are told."""
    now = 0.0

    def tell() -> Iterator[list[str]]:
        nonlocal now
        for at, changed in events:
            now = at
            yield ["changed"] * changed

    return [now for _ in pauses(tell(), settle, lambda: now)]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([(1, False), (2, False), (3, False)], [1]),
        # A file that is being copied changes again and again, and is then at rest.
        ([(1, False), (5, True), (6, True), (7, True), (8, False), (9, False), (10, False)], [1, 9]),
        # A folder that never rests.
        ([(1, False), *((t, True) for t in range(5, 700))], [1, 605]),
        # Two changes far apart.
        ([(1, False), (5, True), (7, False), (9, True), (10, False), (11, False)], [1, 7, 11]),
    ],
)
def test_a_run_begins_when_changes_have_come_to_rest(events: list[tuple[float, bool]], expected: list[float]) -> None:
    assert runs(events) == expected


@pytest.mark.usefixtures("decoding_here")
def test_a_folder_is_indexed_as_it_changes(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    reports: Queue[IndexReport | InputError] = Queue()
    stop = threading.Event()

    def watch() -> None:
        # The library is in the folder: what is written to it is not a change.
        for report in watch_videos(videos / "lib", [videos], encoder, settle=0.1, stop=stop):
            reports.put(report)

    thread = threading.Thread(target=watch)
    thread.start()

    def next_report() -> IndexReport | InputError:
        return reports.get(timeout=120)

    try:
        first = next_report()
        assert isinstance(first, IndexReport) and first.indexed == 5
        shutil.copy(videos / "a.mp4", tmp_path / "new.mp4")
        with (tmp_path / "new.mp4").open("ab") as file:
            file.write(b"another size")
        (tmp_path / "new.mp4").rename(videos / "new.mp4")
        second = next_report()
        assert isinstance(second, IndexReport) and (second.indexed, second.unchanged) == (1, 5)
        (videos / "b.mp4").unlink()
        third = next_report()
        assert isinstance(third, IndexReport) and (third.removed, third.clips_total) == (1, 5)
    finally:
        stop.set()
        thread.join()
    assert reports.empty()


@pytest.mark.usefixtures("decoding_here")
@pytest.mark.parametrize(
    "error", [OSError('OS file watch limit reached. about ["/v"]'), RuntimeError("Too many open files (os error 24)")]
)
def test_folders_that_the_system_cannot_watch_are_listed_instead(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    polled: list[object] = []

    def events(*paths: Path, force_polling: bool | None, **options: object) -> Iterator[set[str]]:
        # Folders that this user may not look into end nothing.
        assert options["ignore_permission_denied"] is True
        polled.append(force_polling)
        if not force_polling:
            raise error
        yield set()

    monkeypatch.setattr("watchfiles.watch", events)
    told: list[str] = []
    (report,) = watch_videos(tmp_path / "lib", [videos], encoder, settle=0.0, on_polling=told.append)
    assert isinstance(report, IndexReport) and report.indexed == 5
    assert polled == [None, True]
    assert told == [str(error).partition(". about")[0]]


@pytest.mark.usefixtures("decoding_here")
def test_an_input_that_has_gone_does_not_end_it(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def events(*paths: Path, **options: object) -> Iterator[set[str]]:
        yield set()
        videos.rename(tmp_path / "elsewhere")
        yield {"deleted"}
        (tmp_path / "elsewhere").rename(videos)
        yield {"added"}

    monkeypatch.setattr("watchfiles.watch", events)
    first, second, third = watch_videos(tmp_path / "lib", [videos], encoder, settle=0.0)
    assert isinstance(first, IndexReport) and first.indexed == 5
    assert isinstance(second, InputError) and "does not exist" in str(second)
    assert isinstance(third, IndexReport) and third.unchanged == 5
