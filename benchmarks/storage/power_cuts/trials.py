"""Libraries as power cuts leave them, opened, healed and indexed again."""

from __future__ import annotations

import hashlib
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmarks.storage.power_cuts.disk_states import MODES, cut
from benchmarks.storage.power_cuts.life import FIRST, NEXT
from benchmarks.storage.power_cuts.recording import record
from benchmarks.storage.stand_in_videos import clips_in, decode_stand_ins
from indexer.ingest.index_run import index_videos
from indexer.repair.library_repair import repair_library
from indexer.store.layout import exists
from indexer.store.library import Library
from indexer.store.manifest import Manifest
from indexer.store.verification import verify_library
from quartet.errors import LibraryError

_MEMORY = Path("/dev/shm")
"""Where libraries are looked at after a cut: no flush is waited for there."""


def run(folder: Path, states: int, seed: int) -> dict[str, object]:
    """Record, cut and check; returns what was found."""
    decode_stand_ins()
    recording, media = record(folder)
    calm_library = folder / "calm"
    index_videos(calm_library, [media], FIRST)
    calm = vectors(calm_library)
    assert all(len(calm[path.name]) == clips_in(path) for path in media.iterdir())
    events = recording.events
    moments = [number for number, event in enumerate(events) if event[0] == "flush"] + [len(events)]
    rng = random.Random(seed)
    every = [(moment, mode) for moment in moments for mode in MODES]
    chosen = every * (states // len(every)) + rng.sample(every, states % len(every))
    found: Counter[str] = Counter()
    known: dict[str, str] = {}
    failures = []
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as cuts:
        library = Path(cuts) / "library"
        for number, (moment, mode) in enumerate(chosen):
            held = list(cut(events, moment, mode, random.Random(f"{seed}/{number}")))
            told = [line for event in events[:moment] if event[0] == "told" for line in event[2].splitlines()]
            # Many cuts leave the same: that is looked at once.
            state = hashlib.sha256(repr((held, told)).encode()).hexdigest()
            try:
                if state not in known:
                    _lay_out(library, held)
                    known[state] = check(library, media, told, calm)
                found[known[state]] += 1
            except Exception as error:
                failures.append(f"{moment} {mode} {number}: {type(error).__name__}: {error}")
    return {
        "flushes": len(moments) - 1,
        "events": len(events),
        "states": len(chosen),
        "distinct": len(known) + len(failures),
        "found": found,
        "failed": failures,
    }


def _lay_out(library: Path, held: Iterable[tuple[str, bytes | None]]) -> None:
    shutil.rmtree(library, ignore_errors=True)
    library.mkdir()
    for name, content in held:
        if content is None:
            (library / name).mkdir(exist_ok=True)
        else:
            (library / name).write_bytes(content)


def vectors(library: Path) -> dict[str, list[str]]:
    """Per file name the vectors of its clips, in their order, and the captions and tags."""
    found: dict[str, list[str]] = {}
    with Library.open(library) as opened:
        clips, gallery = opened.catalog.list_clips(limit=None), opened.current().clips
        assert gallery.ids.tolist() == [clip.id for clip in clips]
        for clip in clips:
            rows = gallery.vectors([clip.id])
            found.setdefault(clip.path.name, []).append(b"".join(rows[name].tobytes() for name in sorted(rows)).hex())
    return found


def check(library: Path, media: Path, told: list[str], calm: dict[str, list[str]]) -> str:
    """Raises AssertionError unless a library that a power cut has left is as it must be; returns what it was."""
    if not exists(library):
        assert not told, "a library that had been reported is gone"
        index_videos(library, [media], FIRST)
        assert vectors(library) == calm
        return "not made yet"
    state, problems = "sound", [each for each in verify_library(library) if each.where != "videos"]
    try:
        with Library.open(library) as opened:
            if not problems:
                _require_reported(opened, told)
    except LibraryError as error:
        assert problems, f"verify has not found why it does not open: {error}"
        state = "does not open"
    if problems:
        state = "does not open" if state == "does not open" else f"damaged: {problems[0].where}"
        report = repair_library(library, lambda: NEXT if _model(library) == NEXT.spec.fingerprint else FIRST)
        left = [each.detail for each in verify_library(library) if each.where != "videos"]
        assert left == [], f"after the repair {left} of {[p.detail for p in problems]}, {report}"
        with Library.open(library) as opened:
            _require_reported(opened, told)
    (media.parent / "texts.txt").write_text("a cat\n")
    index_videos(library, [media], FIRST, to_model=True)
    assert vectors(library) == calm, "the vectors are not those of an undisturbed run"
    assert verify_library(library) == []
    return state


def _model(library: Path) -> str:
    """The fingerprint of the model of the newest generation whose manifest can be read."""
    for file in sorted(library.glob("generations/*/manifest.json"), reverse=True):
        try:
            return Manifest.read(file).model.fingerprint
        except LibraryError:
            continue
    return ""


def _require_reported(opened: Library, told: list[str]) -> None:
    """Everything that was reported done is there, once."""
    names = Counter(video.path.name for video in opened.catalog.list_videos(limit=None))
    texts = {caption.text for caption in opened.catalog.list_captions()}
    tags = opened.catalog.tags()
    gone = {line.partition(" ")[2] for line in told if line.startswith("gone")}
    for line in told:
        kind, _, what = line.partition(" ")
        if kind == "done" and what not in gone and what != "4.mp4":  # which is renamed in the second run
            assert names[what] == 1, f"{what} was reported done and is there {names[what]} times"
        elif kind == "caption":
            assert what in texts, f"the caption {what} was reported"
        elif kind == "tag":
            assert what in tags, f"the tag {what} was reported"
    assert all(count == 1 for count in names.values())
