"""Caption files of the field's datasets, in small."""

import json
from pathlib import Path

import numpy as np
import pytest

from model.training.data.caption_readers import read_captions
from quartet.errors import InputError


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
    assert "1 empty captions left out, of videos: video0" in told
    assert "1 videos left out, without captions: video3" in told
    assert "1 captions left out because the file does not list their videos: video9" in told


def test_the_1k_a_list_moves_videos_and_names_their_sentence(tmp_path: Path) -> None:
    captions = write(tmp_path / "all.json", MSRVTT)
    chosen = tmp_path / "MSRVTT_JSFUSION_test.csv"
    chosen.write_bytes(b'\xef\xbb\xbfkey,vid_key,video_id,sentence\r\nret0,msr1,video1,"a man, singing"\r\n')
    read = read_captions([captions], chosen)
    assert [(v.video, v.captions) for v in read.split("test")] == [("video1", ("a man, singing",))]
    assert [v.video for v in read.split("train")] == ["video0", "video2"]
    assert "1 videos are the test split by MSRVTT_JSFUSION_test.csv, with the 1 sentences" in " ".join(read.notes)
    chosen.write_text("video_id\nvideo2\n")
    assert [(v.video, v.captions) for v in read_captions([captions], chosen).split("test")] == [("video2", ("a dog",))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("video_id\nvideo77\n", "1 of its videos are in no caption file: video77"),
        ("name\nx\n", '"video_id" column'),
        ("", '"video_id" column'),
        ("video_id\n", "lists no videos"),
        ("video_id,sentence\nvideo1,a\nvideo2\n", "line 3: the sentence is missing"),
        ("key,video_id\nret0,\n", "line 2: the video_id is missing"),
    ],
)
def test_a_list_that_cannot_be_used_is_named(tmp_path: Path, content: str, message: str) -> None:
    captions = write(tmp_path / "all.json", MSRVTT)
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        read_captions([captions], tmp_path / "list.csv")
    with pytest.raises(InputError, match=r"none\.csv cannot be read"):
        read_captions([captions], tmp_path / "none.csv")


def test_empty_captions_of_a_jsonl_file_are_told(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"video": "a", "captions": ["x", " "], "split": "validate"}\n')
    read = read_captions([path])
    assert read.split("val")[0].captions == ("x",)
    assert read.notes == ("c.jsonl: 1 empty captions left out, of videos: a",)


def test_one_clip_under_two_names_is_told(tmp_path: Path) -> None:
    path, said = tmp_path / "c.jsonl", ["a dog", "a brown dog", "the dog runs"]
    rows = [("a", "train", said), ("b", "test", [c.upper() for c in said]), ("c", "test", ["a dog"])]
    path.write_text("\n".join(json.dumps({"video": v, "split": s, "captions": c}) for v, s, c in rows))
    (note,) = read_captions([path]).notes
    assert (
        note.startswith("1 groups of videos have the same captions (1 across splits") and "a (train) = b (test)" in note
    )


def test_vatex_takes_its_split_from_the_name(tmp_path: Path) -> None:
    entry = [{"videoID": "abc_000001_000011", "enCap": ["a cat jumps"], "chCap": ["x"]}]
    read = read_captions([write(tmp_path / "vatex_training_v1.0.json", entry)])
    assert [(v.video, v.split) for v in read.videos] == [("abc_000001_000011", "train")]
    assert read_captions([write(tmp_path / "vatex_validation_v1.0.json", entry)]).videos[0].split == "val"


def test_an_hgr_folder(tmp_path: Path) -> None:
    write(tmp_path / "annotation" / "RET" / "ref_captions.json", {"a": ["one", "two"], "b": ["three"], "d": ["x"]})
    (tmp_path / "public_split").mkdir()
    np.save(tmp_path / "public_split" / "trn_names.npy", np.array(["a"]))
    np.save(tmp_path / "public_split" / "tst_names.npy", np.array(["b", "c"]))
    read = read_captions([tmp_path])
    assert [(v.video, len(v.captions), v.split) for v in read.videos] == [("a", 2, "train"), ("b", 1, "test")]
    assert read.notes == (
        "ref_captions.json: 1 videos left out, in no split: d",
        "ref_captions.json: 1 videos left out, without captions: c",
    )
    np.save(tmp_path / "public_split" / "tst_names.npy", np.array(["a"]))
    with pytest.raises(InputError, match="1 videos are in more than one split: a"):
        read_captions([tmp_path])
    (tmp_path / "public_split" / "tst_names.npy").write_text("words")
    with pytest.raises(InputError, match=r"tst_names\.npy cannot be read as a list of names"):
        read_captions([tmp_path])


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
        ("x.json", "{}", "neither an MSR-VTT videodatainfo file nor a VATEX"),
        ("x.json", '{"videos": [{"video_id": "a"}], "sentences": []}', "has no 'split'"),
        ("x.json", '[{"enCap": ["x"]}]', "has no 'videoID'"),
        ("x.json", '[{"videoID": "v", "enCap": [null]}]', "captions of video 'v' must be strings"),
        ("x.json", '{"videos": [1], "sentences": []}', "must be lists of objects"),
        ("x.jsonl", '{"video": "a", "captions": ["x"], "split": "dev"}', "line 1: unknown split 'dev'"),
        ("x.jsonl", '{"video": "a", "captions": ["x"], "split": null}', 'line 1: "split" of video'),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_captions([tmp_path / name])


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json cannot be read"):
        read_captions([tmp_path / "none.json"])
    with pytest.raises(InputError, match="it is not an HGR folder"):
        read_captions([tmp_path])
