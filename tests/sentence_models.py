"""A tiny model of sentences, in the layout of sentence-transformers."""

from __future__ import annotations

from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer
from transformers import BertConfig, BertModel, BertTokenizerFast

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "the", "dog", "cat", "runs", "sleeps", "chases"]
WIDTH = 12


def write_sentences(folder: Path, seed: int = 0, dense: int | None = None) -> Path:
    """A BERT of two layers whose tokens are whole words."""
    torch.manual_seed(seed)
    bert = folder / "bert"
    bert.mkdir(parents=True)
    vocabulary = {word: i for i, word in enumerate(WORDS)}
    BertTokenizerFast(vocab=vocabulary, model_max_length=16).save_pretrained(bert)
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 16}
    config = BertConfig(vocab_size=len(WORDS), hidden_size=WIDTH, **sizes)
    BertModel(config).save_pretrained(bert)
    modules = [Transformer(str(bert), max_seq_length=16), Pooling(WIDTH, "mean")]
    if dense is not None:
        modules.append(Dense(WIDTH, dense))
    SentenceTransformer(modules=modules, device="cpu").save(str(folder / "model"))
    return folder / "model"
