"""A tiny model of texts for the pictures of a tiny CLIP model: what clip-ViT-B-32-multilingual-v1 is to CLIP."""

from __future__ import annotations

from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import DistilBertConfig, DistilBertModel

from tests.every_two_tower import spread, tiny_tokenizer


def write_texts(folder: Path, width: int = 16) -> Path:
    torch.manual_seed(1)
    base = folder.with_name(f"{folder.name}-base")
    sizes = {"dim": 24, "hidden_dim": 32, "n_layers": 2, "n_heads": 2, "vocab_size": 300, "max_position_embeddings": 64}
    model = DistilBertModel(DistilBertConfig(**sizes))
    spread(model)
    model.save_pretrained(base)
    tiny_tokenizer("BertTokenizer").save_pretrained(base)
    transformer = Transformer(str(base), max_seq_length=40)
    dense = Dense(24, width, bias=False, activation_function=torch.nn.Identity())
    modules = [transformer, Pooling(24), dense]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    return folder
