"""A two-tower model of pictures and sentences, of the CLIP or SigLIP family, from a folder on disk.

Everything that transformers loads with `get_image_features` and `get_text_features` works: CLIP, OpenCLIP in its
transformers form, MetaCLIP 2, ChineseCLIP, AltCLIP, SigLIP, SigLIP 2. Nothing here reaches for a network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.cuda_graphs import GraphedFunction, RecordedGraph
from model.device import FittingBatches, in_half_precision, upload
from model.encoder import Frames
from model.two_tower.prepared_models import hash_files, two_tower_folder
from quartet.errors import ModelError

TEXTS = 64
"""Texts in one pass of the text tower."""


@dataclass(frozen=True)
class TwoTowerConfig:
    """Which model saw the frames: its name or folder, and the hash of its files. What `BackboneConfig` is of others."""

    two_tower: str
    sha256: str


class TwoTower:
    """Frames and texts to unit vectors of one space, of width `feature_dim`.

    `config` names the model as `name`, or else as its folder, with a hash of all its files.

    `centre` is the cosine at which a picture and a text are as likely to belong together as not: SigLIP has learned
    it, for CLIP see `CLIP_CENTRE`. `text_tower` holds the modules that read texts, by their names.
    Raises ModelError for a folder without such a model, or with weights missing.
    """

    def __init__(self, folder: Path, device: str = "cpu", name: str | None = None) -> None:
        place = two_tower_folder(folder)
        if place is None:
            raise ModelError(
                f"{folder} holds no two-tower model of pictures and texts: no config.json there has a text_config and "
                "a vision_config. Models of the families CLIP and SigLIP do."
            )
        self.config = TwoTowerConfig(name or str(folder.resolve()), _digest(hash_files(folder)))
        self.net, self.tokenizer, self.images = _load(place)
        self.net.eval()
        self.text_tower = nn.ModuleDict({n: child for n, child in self.net.named_children() if n in _TEXT_MODULES})
        self.to(device)
        config = self.net.config
        self.max_tokens: int = config.text_config.max_position_embeddings
        # SigLIP was trained on texts padded to the full length, and reads its last position.
        self.pads_fully = config.model_type.startswith("siglip")
        self.centre = self._centre()
        self.feature_dim = self.texts(["a"]).shape[1]

    def to(self, device: str) -> Self:
        """Move the model to a device; returns itself."""
        self.device = torch.device(device)
        self.net.to(self.device)
        self._batches = FittingBatches(self.device)
        self._graphed: GraphedFunction | None = None
        return self

    def use_graphs(self, recorder: Callable[..., RecordedGraph] | None = None) -> None:
        """From now on, until `to`, read texts by CUDA graphs (`recorder` makes them)."""
        names = list(self.tokens(["a"]))
        self._graphed = GraphedFunction(
            self._read,
            inputs=dict.fromkeys(names, "BL"),
            outputs=("Bd", "BLe"),
            largest={"B": TEXTS, "L": self.max_tokens},
            padding={"input_ids": self.tokenizer.pad_token_id or 0},
            recorder=recorder,
        )

    def _centre(self) -> float:
        scale, bias = getattr(self.net, "logit_scale", None), getattr(self.net, "logit_bias", None)
        if scale is None or bias is None:
            return CLIP_CENTRE
        return float(-bias.detach() / scale.detach().exp())

    @torch.inference_mode()
    def features(self, clips: Sequence[Frames]) -> list[Tensor]:
        """Unit vectors of every frame of every clip: one (T_i, feature_dim) float32 tensor per clip, on the CPU."""
        inputs = [self._prepare(frames) for frames in clips]
        names = list(inputs[0])
        joined = {name: torch.cat([clip[name] for clip in inputs]) for name in names}

        def forward(rows: Tensor) -> Tensor:
            chosen = {name: values[rows] for name, values in joined.items()}
            return self.net.get_image_features(**chosen).pooler_output

        numbers = torch.arange(len(joined["pixel_values"]), device=self.device)
        rows = self._batches(in_half_precision(forward, self.device), numbers)
        return list(fn.normalize(rows, dim=-1).cpu().split([len(frames) for frames in clips]))

    def _prepare(self, frames: Frames) -> dict[str, Tensor]:
        """The model's own preparation of the frames of one clip, done on the device."""
        images = upload(torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2), self.device)
        inputs = self.images(
            images=list(images), input_data_format="channels_first", return_tensors="pt", device=self.device
        )
        return {name: value for name, value in inputs.items() if isinstance(value, Tensor)}

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors of texts, (N, feature_dim) float32 on the CPU. A text longer than the model reads is cut off.

        Texts are computed in single precision: there are few of them, and their order decides between near hits.
        """
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # texts of similar length: less padding
        vectors = torch.empty(len(texts), 0)
        for start in range(0, len(order), TEXTS):
            chosen = order[start : start + TEXTS]
            rows = self.vectors(self.tokens([texts[i] for i in chosen]))[0].float().cpu()
            if start == 0:
                vectors = rows.new_empty(len(texts), rows.shape[1])
            vectors[chosen] = rows
        return fn.normalize(vectors, dim=-1)

    def tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """The text tower's input for texts: tensors (N, L) by name."""
        tokens = self.tokenizer(
            list(texts),
            padding="max_length" if self.pads_fully else True,
            truncation=True,
            max_length=self.max_tokens,
            return_tensors="pt",
        )
        return {name: value for name, value in tokens.items() if name in _TEXT_INPUTS}

    def vectors(self, tokens: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """What `read` gives, (N, feature_dim) and (N, L, _), without gradients; by a CUDA graph where they are used."""
        return self._read(tokens) if self._graphed is None else self._graphed(tokens, self.device)

    def _read(self, tokens: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        output = self.read(tokens)
        return output.pooler_output, output.last_hidden_state

    def read(self, tokens: Mapping[str, Tensor]) -> Any:
        """What the text tower makes of `tokens`: `pooler_output` (N, feature_dim) and `last_hidden_state` (N, L, _)."""
        device = next(self.text_tower.parameters()).device  # a trainer may have moved the tower by itself
        return self.net.get_text_features(**{name: value.to(device) for name, value in tokens.items()})


CLIP_CENTRE = 0.25
"""Between a CLIP model's cosines of unrelated (0.1 to 0.2) and of matching pictures and captions (0.3 and more).

LAION kept pairs above 0.28 or 0.3 (Schuhmann et al. 2021, 2022). It moves scores, hardly their order.
"""

_TEXT_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_TEXT_MODULES = ("text_model", "text_projection")


def _load(place: Path) -> tuple[Any, Any, Any]:
    """Network, tokenizer and image processor. Raises ModelError where one is missing or does not fit."""
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # loading takes a moment, its bar would only disturb tables and JSON
    try:
        net, report = AutoModel.from_pretrained(
            place, local_files_only=True, output_loading_info=True, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=True)
        images = AutoImageProcessor.from_pretrained(place, local_files_only=True)
    # transformers raises nearly anything for a folder that it cannot read: OSError, ValueError, KeyError, ImportError.
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"The two-tower model in {place} cannot be loaded: {reason}") from error
    if not all(hasattr(net, part) for part in ("get_image_features", "get_text_features", "text_model")):
        raise ModelError(f"The model in {place} ({type(net).__name__}) has no tower for pictures and one for texts.")
    if missing := sorted(report["missing_keys"]):
        raise ModelError(f"The weights in {place} lack {len(missing)} entries, the first is {missing[0]!r}.")
    _check_tokenizer(place, tokenizer, net.config.text_config.vocab_size)
    return net, tokenizer, images


def _check_tokenizer(place: Path, tokenizer: Any, vocab_size: int) -> None:
    """Without its files, transformers makes a tokenizer to which all texts are the same."""
    one, other = (tokenizer(text)["input_ids"] for text in ("dog", "cat"))
    if one == other:
        raise ModelError(f"The tokenizer in {place} cannot be loaded: it has no vocabulary.")
    if max(*one, *other) >= vocab_size:
        raise ModelError(f"The tokenizer in {place} belongs to another model: it has more words than the weights.")


def _digest(hashes: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
