"""Word vectors from a file: reading, what training starts from, the tower that uses them, the checkpoint."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.language.parsed_caption import Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.language.word_vectors import NEW_WORD_SPREAD, WordEmbedding, initial_words, read_word_vectors
from model.mcsan.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from model.mcsan.config import ModelConfig, Preset, TrainConfig
from model.mcsan.linear_parts import CONCEPT_LEVELS
from model.mcsan.network import MCSAN
from model.mcsan.text_features import TextFeatures, collate
from model.training.data.caption_readers import read_captions
from model.training.data.feature_file import FeatureFile
from model.training.loop.feature_scores import scores_on_features
from model.training.loop.feature_training import train_on_features
from quartet.errors import InputError, ModelError
from tests.model.mcsan import reference

CONFIG = ModelConfig(4, 4, 3, 4, embed_dim=8, heads=2, attention_dim=4, words="glove")
VECTORS = "dog 1 2 3\ncat -1 0.5 2e-1\nzebra 9 9 9\n"


def caption(*words: str) -> TextFeatures:
    """A caption whose first word is a noun and whose second, if there is one, is a verb with that noun."""
    nodes = (Node("noun", (0,), "x", 1), Node("verb", (1,), "x", 0))[: len(words)]
    parse = ParsedCaption(" ".join(words), words, ((0, 1),) * len(words), nodes, ((1, 0),) if len(words) > 1 else ())
    rng = np.random.default_rng(len(words))
    # The sentence encoder's words are wider than the file's: they must not be looked at.
    return TextFeatures(
        parse, EncodedText(rng.standard_normal(4).astype(np.float32), np.full((len(words), 7), np.nan, np.float16))
    )


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "glove.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_wanted_words_of_a_file(tmp_path: Path) -> None:
    path = written(tmp_path, "3 3\n" + VECTORS + "at name@domain.com 4 5 6\nét\u00e9 0 0 1 \r\ndog 7 7 7\n")
    found = read_word_vectors(path, {"dog", "at name@domain.com", "ét\u00e9", "absent"})
    assert {word: vector.tolist() for word, vector in found.items()} == {
        "dog": [1, 2, 3], "at name@domain.com": [4, 5, 6], "ét\u00e9": [0, 0, 1],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dog 1 2 3\ncat 1 2\n", "line 2: 2 numbers, expected a word and 3 numbers"),
        ("dog 1 2 3\ncat 1 2 3 4\n", "line 2: 4 numbers, expected a word and 3 numbers"),
        ("dog 1 2 3\n\n", "line 2: 0 numbers, expected"),
        ("dog\n", "line 1: 0 numbers, expected a word and its numbers"),
        ("dog 1 2 3\ncat 1 two 3\n", "line 2: not a number among its 3 values"),
        ("dog 1 2 3\ncat 1 nan 3\n", "line 2: a value is not finite"),
        (b"dog 1 2 3\n\xff\xfe 1 2 3\n", "line 2: not UTF-8 text"),
        ("", "contains no word vectors"),
        ("zebra 1 2 3\n", "no vector for any of the 2 words"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        initial_words(written(tmp_path, text), [caption("dog", "cat").parse], 0)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.txt cannot be read: No such file"):
        initial_words(tmp_path / "nowhere.txt", [], 0)


def test_training_starts_from_the_file_and_small_random_vectors(tmp_path: Path) -> None:
    captions = [caption(*words).parse for words in (("Dog", "yawns"), ("cat", "yawns", "yesterdya"), ("dog",))]
    start = initial_words(written(tmp_path, VECTORS), captions, 0)
    assert start.vocabulary == ("cat", "dog", "yawns")  # a word seen once that the file lacks trains the unknown vector
    assert (start.given, start.dim) == (2, 3)
    np.testing.assert_allclose(start.vectors[0], [0, 1.25, 1.6], atol=1e-6)
    np.testing.assert_allclose(start.vectors[1:3], [[-1, 0.5, 0.2], [1, 2, 3]], atol=1e-6)
    assert 0 < start.vectors[3].norm() < 10 * NEW_WORD_SPREAD
    again = initial_words(tmp_path / "glove.txt", captions, 0)
    torch.testing.assert_close(start.vectors, again.vectors, rtol=0, atol=0)


def test_the_tower_reads_its_own_words() -> None:
    torch.manual_seed(0)
    model = MCSAN(CONFIG, dict.fromkeys(CONCEPT_LEVELS, 1), ("cat", "dog", "runs")).double().eval()
    texts = [caption("Dog", "runs", "unheard"), caption("cat")]
    tensors = collate(texts)
    tensors.sentence = tensors.sentence.double()
    found = model.text(tensors)
    weights = reference.weights_of(model.text)
    table = weights["embedding.vectors.weight"]
    for i, rows in enumerate(([2, 3, 0], [1])):
        expected = reference.text(weights, CONFIG, texts[i].encoded.sentence, table[rows], texts[i].parse)
        for level, vector in expected.items():
            np.testing.assert_allclose(found[level][i].detach(), vector, atol=1e-10)
    sum(v.square().sum() for v in found.values()).backward()
    assert model.text.embedding is not None
    assert model.text.embedding.vectors.weight.grad.abs().sum(1).gt(0).tolist() == [True, True, True, True]


def test_an_embedding_needs_words() -> None:
    with pytest.raises(InputError, match="needs its vocabulary"):
        WordEmbedding((), 3)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = MCSAN(CONFIG, dict.fromkeys(CONCEPT_LEVELS, 1), ("cat", "dog", "line\nbreak", "ét\u00e9")).eval()
    made = Checkpoint("own words", "", model, None, {level: ["x"] for level in CONCEPT_LEVELS}, "parser", "sentences")
    assert save_checkpoint(tmp_path / "made", made) == load_checkpoint(tmp_path / "made").fingerprint
    return tmp_path / "made"


def test_a_checkpoint_keeps_its_words(saved: Path) -> None:
    model = load_checkpoint(saved).model
    assert model.text.embedding is not None
    assert model.text.embedding.vocabulary == ("cat", "dog", "line\nbreak", "ét\u00e9")
    first, second, unknown = (
        model.text(collate([caption(word)]))["entity"] for word in ("Ét\u00e9", "ét\u00e9", "zebra")
    )
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert (first - unknown).abs().max() > 1e-3


def test_other_words_than_the_trained_ones_are_refused(saved: Path) -> None:
    (saved / "words.json").write_text(json.dumps(["dog", "cat", "line\nbreak", "ét\u00e9"]))
    with pytest.raises(ModelError, match=r"words\.json is damaged or does not belong to its config\.json"):
        load_checkpoint(saved)
    (saved / "words.json").unlink()
    with pytest.raises(ModelError, match=r"has lost its words\.json"):
        load_checkpoint(saved)


def test_training_with_a_file_makes_a_checkpoint_that_needs_none(tmp_path: Path) -> None:
    torch.manual_seed(0)
    lines = [{"video": f"v{i}", "captions": [f"a {'dog' if i % 2 else 'cat'} runs"]} for i in range(6)]
    (tmp_path / "c.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    with FeatureFile(tmp_path / "f.h5", writable=True) as file:
        for i in range(6):
            file.add(f"v{i}", torch.randn(3, 4))
    captions, glove = read_captions([tmp_path / "c.jsonl"]), written(tmp_path, VECTORS)
    tiny = ModelConfig(4, 4, sentence_dim=384, embed_dim=8, heads=2, attention_dim=4)
    preset = Preset(model=tiny, train=TrainConfig(4, 2, learning_rate=1e-2))
    said: list[str] = []
    out = tmp_path / "made"
    train_on_features(preset, captions, [tmp_path / "f.h5"], out, 0, said.append, progress=False, glove=glove)
    assert any("glove.txt has 2 of the words of the training captions; 4 are trained" in line for line in said)
    glove.unlink()
    model = load_checkpoint(out).model
    assert model.config == replace(tiny, feature_dim=4, words="glove", word_dim=3)
    assert model.text.embedding is not None
    assert model.text.embedding.vocabulary == ("a", "cat", "dog", "runs")
    assert (model.text.embedding.vectors.weight[3] - torch.tensor([1.0, 2, 3])).abs().max() > 1e-3  # fine-tuned
    scores, _, _ = scores_on_features(out, captions.videos, [tmp_path / "f.h5"])
    assert np.isfinite(scores.block(0, 1)["fused"]).all()
