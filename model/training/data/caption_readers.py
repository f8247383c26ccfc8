"""Caption files of the field's datasets, as one list of captioned videos.

| given | what it is |
|---|---|
| `*.jsonl` | `{"video": ..., "captions": [...], "split": ...}` lines (dataset.py) |
| `*.json` with "videos" and "sentences" | MSR-VTT's videodatainfo, splits "train", "validate", "test" |
| `*.json`, a list with "enCap" | VATEX, English captions; the split is in the file's name |
| a folder with annotation/RET/ref_captions.json | HANet and HGR, splits in public_split/{trn,val,tst}_names.npy |

A second file with a list of test videos (MSR-VTT's 1k-A, MSRVTT_JSFUSION_test.csv: key, vid_key, video_id, sentence)
moves its videos to "test"; videos of the validation split stay there, and all others are for training. Where the list
has a "sentence" column, as 1k-A has, those sentences are the only captions of the test videos: the protocol ranks 1,000
videos for 1,000 sentences (Yu et al., "A Joint Sequence Fusion Model for Video Question Answering and Retrieval", ECCV
2018).
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

from model.training.data.dataset import CaptionedVideo, CaptionRow, read_jsonl_rows
from model.training.data.dataset_checks import list_names, repeated_captions
from quartet.errors import InputError

SPLITS = {"train": "train", "trn": "train", "training": "train", "val": "val", "validate": "val"}
SPLITS |= {"validation": "val", "test": "test", "tst": "test", "": ""}


@dataclass(frozen=True)
class CaptionSet:
    """Videos with captions, each video once, and sentences about what had to be left out of the files."""

    videos: tuple[CaptionedVideo, ...]
    notes: tuple[str, ...] = ()

    def split(self, name: str) -> list[CaptionedVideo]:
        """The videos of "train", "val" or "test", in the order of the file."""
        return [video for video in self.videos if video.split == name]


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
        raise InputError(f"The caption files cannot be used together. {list_names(what, leaks or twice)}.")
    notes = [note for part in parts for note in part.notes]
    if test_list is not None:
        wanted = _test_list(test_list)
        absent = sorted(wanted.keys() - counts.keys())
        if absent:
            raise InputError(f"{test_list}: {list_names('of its videos are in no caption file', absent)}.")
        # What the list leaves out of the official test split is nobody's: 1k-A trains on it. Validation videos stay
        # what they are, or an epoch would be chosen by videos that it was trained on.
        videos = [
            replace(v, split="test", captions=wanted[v.video] or v.captions)
            if v.video in wanted
            else replace(v, split="val" if v.split == "val" else "train")
            for v in videos
        ]
        sentences = sum(len(given) for given in wanted.values())
        sentences_note = f", with the {sentences} sentences of the list as their captions" if sentences else ""
        kept = sum(video.split == "val" for video in videos)
        others = f"{kept} validate, as the captions say, and all others" if kept else "all others"
        notes.append(
            f"{len(wanted)} videos are the test split by {test_list.name}{sentences_note}; {others} are for training."
        )
    notes += repeated_captions(videos)
    return CaptionSet(tuple(videos), tuple(notes))


def _read(path: Path) -> CaptionSet:
    if path.is_dir():
        return _read_hgr(path)
    if path.suffix == ".jsonl":
        return _collect(path, [replace(row, split=_split(row.split, row.where)) for row in read_jsonl_rows(path)], [])
    if path.suffix != ".json":
        raise InputError(f"{path}: captions are read from .jsonl and .json files and from HGR folders.")
    data = _json(path)
    if isinstance(data, dict) and "videos" in data and "sentences" in data:
        return _read_msrvtt(path, data)
    if isinstance(data, list) and data and isinstance(data[0], dict) and "enCap" in data[0]:
        return _read_vatex(path, data)
    raise InputError(f"{path} is neither an MSR-VTT videodatainfo file nor a VATEX file.")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from error


def _read_msrvtt(path: Path, data: dict[str, Any]) -> CaptionSet:
    try:
        splits = {video["video_id"]: _split(video["split"], path) for video in data["videos"]}
        if len(splits) < len(data["videos"]):
            twice = [n for n, c in Counter(v["video_id"] for v in data["videos"]).items() if c > 1]
            raise InputError(f"{path}: {list_names('videos are listed more than once', twice)}.")
        sentences_by_video: dict[str, list[str]] = {name: [] for name in splits}
        strangers: list[str] = []
        for sentence in data["sentences"]:
            if sentence["video_id"] in sentences_by_video:
                sentences_by_video[sentence["video_id"]].append(sentence["caption"])
            else:
                strangers.append(sentence["video_id"])
    except KeyError as error:
        raise InputError(f"{path}: a video or a sentence has no {error}.") from error
    except TypeError as error:
        raise InputError(f'{path}: "videos" and "sentences" must be lists of objects ({error}).') from error
    what = f"{path.name}: {len(strangers)} captions left out because the file does not list their videos"
    notes = [list_names(what, list(dict.fromkeys(strangers)), counted=False)] if strangers else []
    return _collect(
        path, [CaptionRow(str(path), name, sentences_by_video[name], splits[name]) for name in splits], notes
    )


def _read_vatex(path: Path, data: list[dict[str, Any]]) -> CaptionSet:
    split = next((split for key, split in SPLITS.items() if key and key in path.stem.lower()), "")
    notes = [] if split else [f"{path.name}: the name contains no split (training, validation or test)."]
    try:
        rows = [CaptionRow(str(path), item["videoID"], item["enCap"], split) for item in data]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: an entry has no {error}.") from error
    return _collect(path, rows, notes)


def _read_hgr(folder: Path) -> CaptionSet:
    path = folder / "annotation" / "RET" / "ref_captions.json"
    if not path.is_file():
        raise InputError(f"{folder} has no annotation/RET/ref_captions.json: it is not an HGR folder.")
    content = _json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} must be an object of videos and their captions.")
    rows: list[CaptionRow] = []
    for key in ("trn", "val", "tst"):
        names = folder / "public_split" / f"{key}_names.npy"
        if names.is_file():
            rows += [CaptionRow(str(path), name, content.get(name, []), SPLITS[key]) for name in _names(names)]
    if not rows:
        raise InputError(f"{folder}/public_split has none of trn_names.npy, val_names.npy and tst_names.npy.")
    nowhere = sorted(content.keys() - {row.video for row in rows})
    return _collect(
        path, rows, [f"{path.name}: {list_names('videos left out, in no split', nowhere)}"] if nowhere else []
    )


def _names(path: Path) -> list[str]:
    try:
        return [str(name) for name in np.load(path)]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a list of names: {error}.") from error


def _collect(path: Path, rows: Sequence[CaptionRow], notes: list[str]) -> CaptionSet:
    """Captions stripped; the empty ones and the videos left without any are named in the notes."""
    videos, bare, empty = [], [], []
    for row in rows:
        if not isinstance(row.captions, list) or not all(isinstance(c, str) for c in row.captions):
            raise InputError(f"{row.where}: the captions of video {row.video!r} must be strings.")
        kept = tuple(c.strip() for c in row.captions if c.strip())
        empty += [row.video] * (len(row.captions) - len(kept))
        if kept:
            videos.append(CaptionedVideo(row.video, kept, row.split))
        else:
            bare.append(row.video)
    if empty:
        what = f"{path.name}: {len(empty)} empty captions left out, of videos"
        notes.append(list_names(what, list(dict.fromkeys(empty)), counted=False))
    if bare:
        notes.append(f"{path.name}: " + list_names("videos left out, without captions", bare))
    return CaptionSet(tuple(videos), tuple(notes))


def _split(name: str, where: Path | str) -> str:
    if name not in SPLITS:
        raise InputError(f"{where}: unknown split {name!r}. Splits: train, val, test.")
    return SPLITS[name]


def _test_list(path: Path) -> dict[str, tuple[str, ...]]:
    """The test videos and the sentences that the list gives them, if it does."""
    listed: dict[str, list[str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if "video_id" not in (rows.fieldnames or ()):
                raise InputError(f'{path}: a list of test videos is a CSV file with a "video_id" column.')
            for row in rows:
                if not row["video_id"]:
                    raise InputError(f"{path}, line {rows.line_num}: the video_id is missing.")
                sentences = listed.setdefault(row["video_id"], [])
                if "sentence" in row:
                    if not (row["sentence"] or "").strip():
                        raise InputError(f"{path}, line {rows.line_num}: the sentence is missing.")
                    sentences.append(row["sentence"].strip())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file: {error}.") from error
    if not listed:
        raise InputError(f"{path} lists no videos.")
    return {name: tuple(sentences) for name, sentences in listed.items()}
