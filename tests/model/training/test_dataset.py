"""Caption files, vocabularies and labels."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.json_config import from_json
from model.language.parsed_caption import Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.mcsan.config import LossConfig, ModelConfig, TrainConfig
from model.mcsan.layers import pad_features
from model.mcsan.presets import preset
from model.mcsan.text_features import TextFeatures
from model.training.data.dataset import VideoText, build_vocabularies, concept_labels, read_jsonl
from quartet.errors import InputError


def text(nouns: list[str], verbs: list[str], triplets: list[tuple[str, str, str]]) -> TextFeatures:
    nodes = [Node("noun", (0,), n, 1) for n in nouns] + [Node("verb", (0,), v, 0) for v in verbs]
    parse = ParsedCaption(" ".join(nouns + verbs), ("w",), ((0, 1),), tuple(nodes), (), tuple(triplets))
    return TextFeatures(parse, EncodedText(np.zeros(4, np.float32), np.zeros((1, 4), np.float16)))


def test_a_caption_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(
        '{"video": "a.mp4", "captions": [" one ", "two", ""], "split": "test"}\n\n{"video": "b", "captions": ["x"]}\n'
    )
    first, second = read_jsonl(path)
    assert (first.video, first.captions, first.split) == ("a.mp4", ("one", "two"), "test")
    assert second.split == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{broken", "line 2: not valid JSON"),
        ("[]", "line 2: expected an object"),
        ('{"video": 3, "captions": ["x"]}', "line 2: expected an object"),
        ('{"video": "b", "captions": "x"}', "line 2: .*'b' must be a list"),
        ('{"video": "b", "captions": [" "]}', "line 2: video 'b' has only empty captions"),
        ('{"video": "a", "captions": ["x"]}', "line 2: video 'a' is already"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"video": "a", "captions": ["x"]}\n' + line + "\n")
    with pytest.raises(InputError, match=message):
        read_jsonl(path)


def test_lines_that_are_not_utf_8_are_named_and_rare_line_breaks_do_not_break_lines(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"video": "a", "captions": ["one\xe2\x80\xa8two"]}\r\n')
    assert read_jsonl(path)[0].captions == ("one\u2028two",)
    path.write_bytes(b'{"video": "a", "captions": ["x"]}\n{"video": "b", "captions": ["\xff"]}')
    with pytest.raises(InputError, match="line 2: not UTF-8 text"):
        read_jsonl(path)


def test_missing_and_empty_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no caption file"):
        read_jsonl(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(InputError, match="contains no videos"):
        read_jsonl(tmp_path / "empty.jsonl")


def test_vocabularies_and_labels() -> None:
    a = text(["dog", "ball"], ["chase"], [("dog", "chase", "ball")])
    b = text(["dog"], ["run"], [])
    c = text(["cat"], [], [])
    vocabularies = build_vocabularies([a, b, c], {"entity": 2, "action": 9, "relation": 9})
    assert vocabularies == {"entity": ["dog", "ball"], "action": ["chase", "run"], "relation": ["dog chase ball"]}
    data = VideoText.build([torch.ones(2, 4), torch.ones(5, 4)], [[a, b], [c]])
    assert data.owner.tolist() == [0, 0, 1] and data.features.shape == (2, 5, 4)
    assert data.frame_mask.sum(1).tolist() == [2, 5]
    of_text, of_video = concept_labels(data, vocabularies)
    assert of_text["action"].tolist() == [[1, 0], [0, 1], [0, 0]]
    assert of_video["action"].tolist() == [[1, 1], [0, 0]]
    assert of_video["entity"].tolist() == [[1, 1], [0, 0]]


def test_padding_is_zero_and_masked() -> None:
    padded, mask = pad_features([torch.ones(1, 2), torch.ones(3, 2)])
    assert padded[0, 1:].sum() == 0 and mask.tolist() == [[True, False, False], [True, True, True]]


def test_configurations_from_json_name_what_is_wrong() -> None:
    assert from_json(ModelConfig, {"frames": 4, "entity_pool": "top"}).frames == 4
    with pytest.raises(InputError, match="no field 'colour'"):
        from_json(ModelConfig, {"colour": 1})
    with pytest.raises(InputError, match="ranking must be one of hardest, sum, infonce"):
        from_json(LossConfig, {"ranking": "best"})
    with pytest.raises(InputError, match="epochs must be of type int"):
        from_json(TrainConfig, {"epochs": "ten"})
    with pytest.raises(InputError, match=r"Unknown preset 'papers'\. Presets: paper, demo"):
        preset("papers")
