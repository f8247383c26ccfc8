"""Networks of the published sizes with random weights, on which speed does not depend, and texts for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.language.parsed_caption import Node, ParsedCaption
from model.language.sentence_encoder import EncodedText
from model.mcsan.config import ModelConfig
from model.mcsan.text_features import TextFeatures, collate
from model.mcsan.text_tower import TextTensors, TextTower

_LETTERS = [chr(i) for i in range(33, 127)]


def write_clip(folder: Path) -> None:
    """CLIP ViT-B/32: the default configuration of transformers, with the special tokens of the tokenizer here."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    begin, end = 2 * len(_LETTERS), 2 * len(_LETTERS) + 1
    special = {"bos_token_id": begin, "eos_token_id": end, "pad_token_id": end}
    _write(folder, CLIPModel(CLIPConfig(text_config=special)))


def write_siglip(folder: Path) -> None:
    """SigLIP base/16: the default configuration of transformers."""
    from transformers import SiglipConfig, SiglipModel

    torch.manual_seed(0)
    special = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 1}
    _write(folder, SiglipModel(SiglipConfig(text_config=special)))


TWO_TOWERS: dict[str, Callable[[Path], None]] = {"CLIP ViT-B/32": write_clip, "SigLIP base/16": write_siglip}


def minilm() -> Any:
    """A `BertModel` of the size of all-MiniLM-L6-v2."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    return BertModel(BertConfig(**sizes)).eval()


class Pieces(torch.nn.Module):
    """(input_ids, attention_mask) to the last hidden states of a `BertModel`."""

    def __init__(self, bert: Any) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, pieces: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.bert(input_ids=pieces, attention_mask=real).last_hidden_state
        return states


def minilm_tokens(texts: int) -> dict[str, torch.Tensor]:
    """Texts of 6 to 12 tokens, as `minilm` reads them, padded to 12."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(6, 13, texts)
    mask = np.arange(12) < lengths[:, None]
    pieces = rng.integers(1000, 30000, (texts, 12)) * mask
    return {"input_ids": torch.from_numpy(pieces), "attention_mask": torch.from_numpy(mask.astype(np.int64))}


def levels() -> TextTower:
    """The text tower of MCSAN in the paper's size."""
    torch.manual_seed(0)
    return TextTower(ModelConfig()).eval()


def captions(texts: int) -> TextTensors:
    """A caption, parsed, with random vectors of its words, as often as asked for."""
    rng = np.random.default_rng(0)
    words = ("two", "big", "dogs", "chase", "a", "small", "cat")
    ends = np.cumsum([len(word) + 1 for word in words]).tolist()
    spans = tuple((end - 1 - len(word), end - 1) for end, word in zip(ends, words, strict=True))
    nodes = (Node("noun", (2,), "dog", 1), Node("verb", (3,), "chase", 0), Node("noun", (6,), "cat", 3))
    parse = ParsedCaption(" ".join(words), words, spans, nodes, ((1, 0), (1, 2)))

    def vectors() -> EncodedText:
        return EncodedText(rng.standard_normal(384, np.float32), rng.standard_normal((7, 384)).astype(np.float16))

    return collate([TextFeatures(parse, vectors()) for _ in range(texts)])


def _write(folder: Path, model: torch.nn.Module) -> None:
    """A model with a tokenizer of letters, as transformers saves it."""
    from transformers import CLIPImageProcessor, CLIPTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    words = [*_LETTERS, *(f"{letter}</w>" for letter in _LETTERS), "<|startoftext|>", "<|endoftext|>"]
    model.save_pretrained(folder)
    CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[]).save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)
