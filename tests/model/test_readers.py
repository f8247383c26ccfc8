"""Caption files of the field's datasets, in small."""

import json
from pathlib import Path

import numpy as np
import pytest

from model.errors import InputError
from model.training.readers import read_captions


def write(path: Path, data: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


MSRVTT = {
    "videos": [
        {"video_id": "video0", "split": "train"},
        {"video_id": "video1", "split": "validate"},
        {"video_id": "video2", "split": "test"},
        {"video_id": "video3", "split": "test"},
    ],
    "sentences": [
        {"video_id": "video0", "caption": " a car drives "},
        {"video_id": "video0", "caption": " "},
        {"video_id": "video1", "caption": "a man sings"},
        {"video_id": "video2", "caption": "a dog"},
        {"video_id": "video9", "caption": "who knows"},
    ],
}


def test_msrvtt(tmp_path: Path) -> None:
    read = read_captions([write(tmp_path / "train_val_videodatainfo.json", MSRVTT)])
    assert [(v.video, v.captions, v.split) for v in read.videos] == [
        ("video0", ("a car drives",), "train"),
        ("video1", ("a man sings",), "val"),
        ("video2", ("a dog",), "test"),
    ]
    told = " ".join(read.notes)
    assert "1 empty captions were left out, of videos: video0" in told
    assert "1 videos without captions were left out: video3" in told
    assert "1 captions of videos that the file does not list: who knows" in told


def test_the_1k_a_list_moves_videos(tmp_path: Path) -> None:
    captions = write(tmp_path / "all.json", MSRVTT)
    chosen = tmp_path / "1ka.csv"
    chosen.write_text("key,vid_key,video_id,sentence\nret0,msr1,video1,a man sings\n")
    read = read_captions([captions], chosen)
    assert [v.video for v in read.split("test")] == ["video1"]
    assert [v.video for v in read.split("train")] == ["video0", "video2"]
    chosen.write_text("video_id\nvideo77\n")
    with pytest.raises(InputError, match="1 of its videos are in no caption file: video77"):
        read_captions([captions], chosen)
    chosen.write_text("name\nx\n")
    with pytest.raises(InputError, match='"video_id" column'):
        read_captions([captions], chosen)


def test_vatex_takes_its_split_from_the_name(tmp_path: Path) -> None:
    entry = [{"videoID": "abc_000001_000011", "enCap": ["a cat jumps"], "chCap": ["x"]}]
    read = read_captions([write(tmp_path / "vatex_training_v1.0.json", entry)])
    assert [(v.video, v.split) for v in read.videos] == [("abc_000001_000011", "train")]
    assert read_captions([write(tmp_path / "vatex_validation_v1.0.json", entry)]).videos[0].split == "val"


def test_an_hgr_folder(tmp_path: Path) -> None:
    write(tmp_path / "annotation" / "RET" / "ref_captions.json", {"a": ["one", "two"], "b": ["three"]})
    (tmp_path / "public_split").mkdir()
    np.save(tmp_path / "public_split" / "trn_names.npy", np.array(["a"]))
    np.save(tmp_path / "public_split" / "tst_names.npy", np.array(["b", "c"]))
    read = read_captions([tmp_path])
    assert [(v.video, len(v.captions), v.split) for v in read.videos] == [("a", 2, "train"), ("b", 1, "test")]
    assert read.notes == ("ref_captions.json: 1 videos without captions were left out: c",)


def test_leaks_and_repeats_are_refused_by_name(tmp_path: Path) -> None:
    entry = [{"videoID": "leaky", "enCap": ["a cat"]}]
    files = [write(tmp_path / f"vatex_{split}.json", entry) for split in ("training", "test")]
    with pytest.raises(InputError, match="1 videos are in more than one split: leaky"):
        read_captions(files)
    with pytest.raises(InputError, match="1 videos are listed more than once: leaky"):
        read_captions([files[0], files[0]])
    doubled = {**MSRVTT, "videos": [MSRVTT["videos"][0]] * 2}
    with pytest.raises(InputError, match="listed more than once: video0"):
        read_captions([write(tmp_path / "twice.json", doubled)])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.txt", "words", "captions are read from"),
        ("x.json", "{", "not valid JSON"),
        ("x.json", "{}", "neither MSR-VTT's videodatainfo nor a VATEX"),
        ("x.json", '{"videos": [{"video_id": "a"}], "sentences": []}', "has no 'split'"),
        ("x.json", '[{"enCap": ["x"]}]', "has no 'videoID'"),
        ("x.jsonl", '{"video": "a", "captions": ["x"], "split": "dev"}', "unknown split 'dev'"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_captions([tmp_path / name])


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json cannot be read"):
        read_captions([tmp_path / "none.json"])
    with pytest.raises(InputError, match="it is no HGR folder"):
        read_captions([tmp_path])
