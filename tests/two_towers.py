"""Tiny two-tower models with random weights, written to disk as the published ones are."""

from __future__ import annotations

import io
import json
from pathlib import Path

import sentencepiece
import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTokenizer,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    SiglipTokenizer,
)

SIZE = 32
TOWER = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {**TOWER, "image_size": SIZE, "patch_size": 8}
BYTES = [chr(i) for i in range(33, 127)]


def write_clip(folder: Path, seed: int = 0) -> Path:
    """A CLIP model whose tokens are letters."""
    torch.manual_seed(seed)
    words = [*BYTES, *(f"{letter}</w>" for letter in BYTES), "<|startoftext|>", "<|endoftext|>"]
    text = {**TOWER, "vocab_size": len(words), "max_position_embeddings": 40}
    text |= {"bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1, "pad_token_id": len(words) - 1}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=VISION, projection_dim=16))
    _spread(model)
    model.save_pretrained(folder)
    CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[]).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": SIZE}, crop_size=SIZE).save_pretrained(folder)
    return folder


def write_siglip(folder: Path, seed: int = 0, text_width: int = TOWER["hidden_size"]) -> Path:
    """A SigLIP model with a sentencepiece vocabulary. The states of its texts may be wider than the common space."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    pieces = io.BytesIO()
    sentences = ["a dog chases a red ball over the grass", "two men are riding horses", "abcdefghijklmnopqrstuvwxyz"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences * 4), model_writer=pieces, vocab_size=64, hard_vocab_limit=False,
        minloglevel=2, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
    )  # fmt: skip
    (folder / "spiece.model").write_bytes(pieces.getvalue())
    tokenizer = SiglipTokenizer(str(folder / "spiece.model"), model_max_length=24)
    text = {
        **TOWER,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 24,
        "projection_size": 24,
        "hidden_size": text_width,
    }
    text |= {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=VISION))
    _spread(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    SiglipImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
    return folder


def write_sentence_transformer(folder: Path) -> Path:
    """A CLIP model in the folder of a sentence-transformers model, as clip-ViT-B-32 is."""
    write_clip(folder / "0_CLIPModel")
    modules = [{"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}]
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    return folder


def _spread(model: torch.nn.Module) -> None:
    """Weights so large that different inputs have clearly different vectors."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
            elif name == "logit_bias":
                parameter.fill_(-2.0)
