"""Caption files of the field's datasets, as one list of captioned videos.

| given | what it is |
|---|---|
| `*.jsonl` | `{"video": ..., "captions": [...], "split": ...}` lines (dataset.py) |
| `*.json` with "videos" and "sentences" | MSR-VTT's videodatainfo, splits "train", "validate", "test" |
| `*.json`, a list with "enCap" | VATEX, English captions; the split is in the file's name |
| a folder with annotation/RET/ref_captions.json | HANet and HGR, splits in public_split/{trn,val,tst}_names.npy |

A second file with a list of test videos (MSR-VTT's 1k-A as CSV with a "video_id" column) moves its videos to "test".
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import InputError
from model.training.dataset import CaptionedVideo, read_jsonl

SPLITS = {"train": "train", "trn": "train", "training": "train", "val": "val", "validate": "val"}
SPLITS |= {"validation": "val", "test": "test", "tst": "test", "": ""}
_SHOWN = 5


@dataclass(frozen=True)
class CaptionSet:
    """Videos with captions, each video once, and sentences about what had to be left out of the files."""

    videos: tuple[CaptionedVideo, ...]
    notes: tuple[str, ...] = ()

    def split(self, name: str) -> list[CaptionedVideo]:
        """The videos of "train", "val" or "test", in the order of the file."""
        return [video for video in self.videos if video.split == name]


def named(what: str, names: Sequence[str]) -> str:
    """ "3 videos without captions: a, b, c" with at most five names."""
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return f"{len(names)} {what}: {shown}"


def read_captions(paths: Iterable[Path], test_list: Path | None = None) -> CaptionSet:
    """Read one or more caption files of any known format.

    Raises InputError for an unknown format, a broken line, a video that is listed twice or in two splits.
    """
    parts = [_read(path) for path in paths]
    videos = [video for part in parts for video in part.videos]
    counts = Counter(video.video for video in videos)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        splits = {name: {v.split for v in videos if v.video == name} for name in twice}
        leaks = [name for name in twice if len(splits[name]) > 1]
        what = "videos are in more than one split" if leaks else "videos are listed more than once"
        raise InputError(f"The caption files cannot be used together. {named(what, leaks or twice)}.")
    notes = [note for part in parts for note in part.notes]
    if test_list is not None:
        wanted = _test_names(test_list)
        absent = sorted(wanted - counts.keys())
        if absent:
            raise InputError(f"{test_list}: {named('of its videos are in no caption file', absent)}.")
        # What the list leaves out of the official test split is nobody's: 1k-A trains on all but its 1,000 videos.
        moved = [replace(v, split="test" if v.video in wanted else "train") for v in videos]
        notes.append(f"{len(wanted)} videos are the test split by {test_list.name}; all others are for training.")
        videos = moved
    return CaptionSet(tuple(videos), tuple(notes))


def _read(path: Path) -> CaptionSet:
    if path.is_dir():
        return _read_hgr(path)
    if path.suffix == ".jsonl":
        return CaptionSet(tuple(replace(v, split=_split(v.split, path)) for v in read_jsonl(path)))
    if path.suffix != ".json":
        raise InputError(f"{path}: captions are read from .jsonl and .json files and from HGR folders.")
    data = _json(path)
    if isinstance(data, dict) and "videos" in data and "sentences" in data:
        return _read_msrvtt(path, data)
    if isinstance(data, list) and data and isinstance(data[0], dict) and "enCap" in data[0]:
        return _read_vatex(path, data)
    raise InputError(f"{path} is neither MSR-VTT's videodatainfo nor a VATEX file.")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from error


def _read_msrvtt(path: Path, data: dict[str, Any]) -> CaptionSet:
    try:
        splits = {video["video_id"]: _split(video["split"], path) for video in data["videos"]}
        if len(splits) < len(data["videos"]):
            twice = [n for n, c in Counter(v["video_id"] for v in data["videos"]).items() if c > 1]
            raise InputError(f"{path}: {named('videos are listed more than once', twice)}.")
        said: dict[str, list[str]] = {name: [] for name in splits}
        strangers: list[str] = []
        for sentence in data["sentences"]:
            said.get(sentence["video_id"], strangers).append(sentence["caption"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: a video or a sentence has no {error}.") from error
    notes = [named("captions of videos that the file does not list", strangers)] if strangers else []
    return _collect(path, [(name, said[name], splits[name]) for name in splits], notes)


def _read_vatex(path: Path, data: list[dict[str, Any]]) -> CaptionSet:
    split = next((name for key, name in SPLITS.items() if key and key in path.stem.lower()), "")
    try:
        rows = [(item["videoID"], item["enCap"], split) for item in data]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: an entry has no {error}.") from error
    return _collect(path, rows, [])


def _read_hgr(folder: Path) -> CaptionSet:
    captions = folder / "annotation" / "RET" / "ref_captions.json"
    if not captions.is_file():
        raise InputError(f"{folder} has no annotation/RET/ref_captions.json: it is no HGR folder.")
    said = _json(captions)
    rows: list[tuple[str, list[str], str]] = []
    for key in ("trn", "val", "tst"):
        names = folder / "public_split" / f"{key}_names.npy"
        if names.is_file():
            rows += [(str(name), said.get(str(name), []), SPLITS[key]) for name in np.load(names)]
    if not rows:
        raise InputError(f"{folder}/public_split has none of trn_names.npy, val_names.npy and tst_names.npy.")
    return _collect(captions, rows, [])


def _collect(path: Path, rows: Sequence[tuple[str, Sequence[str], str]], notes: list[str]) -> CaptionSet:
    """Captions stripped; the empty ones and the videos left without any are told in the notes."""
    videos, bare, empty = [], [], []
    for name, captions, split in rows:
        kept = tuple(c.strip() for c in captions if c.strip())
        empty += [name] * (len(captions) - len(kept))
        if kept:
            videos.append(CaptionedVideo(name, kept, split))
        else:
            bare.append(name)
    if empty:
        notes.append(f"{path.name}: " + named("empty captions were left out, of videos", empty))
    if bare:
        notes.append(f"{path.name}: " + named("videos without captions were left out", bare))
    return CaptionSet(tuple(videos), tuple(notes))


def _split(name: str, path: Path) -> str:
    if name not in SPLITS:
        raise InputError(f"{path}: unknown split {name!r}. Splits: train, val, test.")
    return SPLITS[name]


def _test_names(path: Path) -> set[str]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "video_id" not in rows[0]:
        raise InputError(f'{path}: a list of test videos is a CSV file with a "video_id" column.')
    return {row["video_id"] for row in rows}
