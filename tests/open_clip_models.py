"""Tiny models with random weights in the layout of open_clip, as `push_to_hf_hub` writes it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.every_two_tower import spread, tiny_tokenizer

_TEXT = {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
MODELS: dict[str, dict[str, Any]] = {
    "clip": {
        "model_cfg": {
            "embed_dim": 16,
            "vision_cfg": {"image_size": 32, "layers": 2, "width": 24, "head_width": 12, "patch_size": 8},
            "text_cfg": _TEXT,
        },
        "preprocess_cfg": {},
    },
    # PE-Core: attention pooling without a projection, squashed pictures, another mean.
    "pe-core": {
        "model_cfg": {
            "embed_dim": 512,
            "vision_cfg": {
                "image_size": 384, "timm_model_name": "vit_pe_core_tiny_patch16_384", "timm_pool": "map",
                "timm_proj": None, "timm_model_pretrained": True,
            },
            "text_cfg": _TEXT,
            "custom_text": True,
        },
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear", "resize_mode": "squash"},
    },
    # MobileCLIP2: a convolutional tower, texts without a causal mask, pictures that are not normalised.
    "mobileclip": {
        "model_cfg": {
            "embed_dim": 32,
            "vision_cfg": {
                "image_size": 64, "timm_model_name": "test_convnext", "timm_pool": "avg", "timm_proj": None,
                "timm_model_pretrained": False,
            },
            "text_cfg": {**_TEXT, "no_causal_mask": True},
            "custom_text": True,
        },
        "preprocess_cfg": {"mean": [0.0] * 3, "std": [1.0] * 3, "interpolation": "bilinear", "resize_mode": "shortest"},
    },
    # SigLIP 2 of timm: a tokenizer of transformers, texts in lower case without punctuation, a learned bias.
    "siglip2": {
        "model_cfg": {
            "embed_dim": 64,
            "init_logit_bias": -10,
            "custom_text": True,
            "vision_cfg": {
                "image_size": 160, "timm_model_name": "test_vit", "timm_pool": "avg", "timm_proj": "linear",
                "timm_model_pretrained": False,
            },
            "text_cfg": {
                **_TEXT, "vocab_size": 300, "hf_tokenizer_name": "somebody/siglip2", "no_causal_mask": True,
                "pool_type": "last", "proj_bias": True,
                "tokenizer_kwargs": {"clean": "canonicalize", "trust_remote_code": True},
            },
        },
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "longest"},
    },
}  # fmt: skip


def write_open_clip(folder: Path, kind: str = "clip", seed: int = 0) -> Path:
    import open_clip

    torch.manual_seed(seed)
    folder.mkdir(parents=True)
    config = copy.deepcopy(MODELS[kind])
    settings = copy.deepcopy(config["model_cfg"])
    settings["vision_cfg"].pop("timm_model_pretrained", None)
    cls = open_clip.CustomTextCLIP if settings.pop("custom_text", False) else open_clip.CLIP
    model = cls(**settings).eval()
    spread(model)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    if "hf_tokenizer_name" in settings["text_cfg"]:
        tiny_tokenizer("plain").save_pretrained(folder)
    return folder
