"""Every class of two towers that the installed transformers has: found in its source, built tiny, written to disk."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES
from transformers.models.auto.video_processing_auto import VIDEO_PROCESSOR_MAPPING_NAMES

SIZE = 32
SMALL = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": SIZE,
    "patch_size": 8, "projection_dim": 24, "projection_size": 32, "max_position_embeddings": 40, "vocab_size": 300,
    "projection_intermediate_dim": 32, "mit_hidden_size": 24, "mit_intermediate_size": 32, "mit_num_attention_heads": 2,
    "prompt_num_attention_heads": 2, "num_frames": 4, "tubelet_size": (1, 8, 8), "num_spatial_layers": 2,
    "num_temporal_layers": 1,
    "num_auxiliary_layers": 1, "depths": (1, 1, 1), "num_group_tokens": (4, 2, 0), "num_output_groups": (4, 2, 2),
    "num_patches": 16, "head_dim": 16, "num_key_value_heads": 2, "hidden_dim": 24, "project_dim": 24,
    "encoder_hidden_size": 32, "image_text_hidden_size": 16, "num_query_tokens": 2, "num_channels": 3,
    "in_channels": (32, 16), "out_channels": (16, 24), "kernel_sizes": (3, 3), "strides": (1, 2),
    "num_block_repeats": (1, 1), "expand_ratios": (1, 2), "width_coefficient": 1.0, "depth_coefficient": 1.0,
    "num_decoder_layers": 2, "ffn_dim": 48, "word_embed_proj_dim": 32, "reduce_dim": 16, "extract_layers": (0, 1, 2),
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2,
}  # fmt: skip
"""Settings of configurations; a configuration takes those that it has."""

SPECIAL = ["<pad>", "<bos>", "<eos>", "<unk>", "<mask>"]
LETTERS = [chr(i) for i in range(33, 127)]


@cache
def two_tower_classes() -> tuple[type, ...]:
    """Found by their methods, not listed; and the one of videos whose methods are lost in its constructor."""
    found = []
    base = Path(transformers.__file__).parent / "models"
    for path in sorted(base.glob("*/modeling_*.py")):
        source = path.read_text(encoding="utf-8")
        if not re.search(r"def get_text_features", source):
            continue
        module = importlib.import_module(f"transformers.models.{path.parent.name}.{path.stem}")
        for name in re.findall(r"^class (\w+)\(", source, re.MULTILINE):
            own = source.split(f"\nclass {name}(")[1].split("\nclass ")[0]
            if "def get_text_features" in own and re.search("def get_(image|video)_features", own):
                found.append(getattr(module, name))
    return tuple(found)


def tiny_config(cls: type, **changes: Any) -> Any:
    """A configuration of the class, small in every part."""
    config_class = cls.config_class
    parts = {
        name: _small(part)
        for name, part in config_class().to_dict().items()
        if isinstance(part, dict) and name.endswith("_config")
    }
    own = {name: value for name, value in SMALL.items() if name in config_class().to_dict()}
    return config_class(**{**own, **parts, **changes})


def _small(part: dict[str, Any]) -> dict[str, Any]:
    if part.get("model_type") == "timm_wrapper":
        sizes = {"img_size": SIZE, "patch_size": 8, "embed_dim": 32, "depth": 1, "num_heads": 2}
        return {**part, "architecture": "vit_pe_core_tiny_patch16_384", "model_args": sizes, "do_pooling": True}
    kept = {name: SMALL[name] for name in part if name in SMALL}
    kept |= {
        name: _small(inner) for name, inner in part.items() if isinstance(inner, dict) and name.endswith("_config")
    }
    if "model_type" in part:
        kept["model_type"] = part["model_type"]
    return kept


def spread(model: torch.nn.Module) -> None:
    """Weights so large that different inputs have clearly different vectors."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.2)
            elif name.endswith("logit_bias"):
                parameter.fill_(-2.0)


def tiny_tokenizer(kind: str) -> Any:
    """A tokenizer of the class `kind` whose tokens are letters; a plain one where the class is another."""
    cls = getattr(transformers, kind, None)
    if kind == "CLIPTokenizer":
        words = [*SPECIAL, *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
        ids = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<eos>"}
        return cls(vocab={word: i for i, word in enumerate(words)}, merges=[], **ids)
    if kind == "BertTokenizer":
        words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
        return cls(vocab={word: i for i, word in enumerate(words)})
    if kind == "XLMRobertaTokenizer":
        pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
        return cls(vocab=[*pieces, *((letter, -3.0) for letter in LETTERS), ("<mask>", 0.0)])
    if kind == "VideoPrismTokenizer":
        pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
        return cls(vocab=[*pieces, *((letter, -3.0) for letter in LETTERS)], extra_ids=0)
    if kind in ("Siglip2Tokenizer", "GemmaTokenizer", "Tipsv2Tokenizer"):
        order = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *LETTERS]
        return cls(vocab={word: i for i, word in enumerate(order)}, merges=[])
    made = Tokenizer(models.BPE({word: i for i, word in enumerate([*SPECIAL, "▁", *LETTERS])}, [], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 1), ("<eos>", 2)]
    )
    names = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)


def tiny_processor(model_type: str) -> Any:
    """The image or video processor of a model type, for pictures of SIZE."""
    if model_type in VIDEO_PROCESSOR_MAPPING_NAMES and model_type not in IMAGE_PROCESSOR_MAPPING_NAMES:
        cls = getattr(transformers, VIDEO_PROCESSOR_MAPPING_NAMES[model_type]["torchvision"])
        return cls(size={"height": SIZE, "width": SIZE}, do_resize=True)
    cls = getattr(
        transformers, (IMAGE_PROCESSOR_MAPPING_NAMES.get(model_type) or {}).get("torchvision", "CLIPImageProcessor")
    )
    if cls.__name__ == "Siglip2ImageProcessor":
        return cls(patch_size=8, max_num_patches=16)
    if "shortest_edge" in (cls.size or {}):
        return cls(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE})
    return cls(size={"height": SIZE, "width": SIZE}, crop_size={"height": SIZE, "width": SIZE})


def write_tiny(cls: type, folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A model of the class with random weights, as `save_pretrained` writes it with its tokenizer and processor."""
    torch.manual_seed(seed)
    config = tiny_config(cls, **changes)
    model = cls(config).eval()
    spread(model)
    model.save_pretrained(folder)
    tiny_tokenizer(str(TOKENIZER_MAPPING_NAMES.get(config.model_type))).save_pretrained(folder)
    tiny_processor(config.model_type).save_pretrained(folder)
    return folder
