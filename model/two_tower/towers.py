"""A two-tower model from a folder on disk: frames and texts to unit vectors of one space.

Its layout (`layouts.py`) decides which library reads the folder: transformers (`transformers_network.py`), open_clip
(`open_clip_network.py`) or sentence-transformers (`one_stream_network.py`). Two folders may make one model
(`text_partner.py`). Nothing here reaches for the internet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.cpu_backend import CpuNetwork
from model.cuda_graphs import GraphedFunction, RecordedGraph
from model.device import BATCH, FittingBatches, in_half_precision, upload
from model.encoder import Frames
from model.precision import Precision
from model.two_tower.layouts import PICTURES, Layout, find_layout
from model.two_tower.layouts import TEXTS as TEXT_FOLDER
from model.two_tower.loaded_network import LoadedNetwork
from model.two_tower.prepared_models import hash_files
from model.two_tower.safe_loading import refuse_code
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

    `config` names the model as `name`, or else as its folder, with a hash of all its files. `centre`, `clip_frames` and
    `max_tokens` are those of `LoadedNetwork`. `text_tower` holds the modules that read texts, by their names.

    Raises ModelError for a folder without such a model, with weights missing, or whose towers do not fit together: a
    picture and the longest text are tried.
    """

    def __init__(self, folder: Path, device: str = "cpu", name: str | None = None) -> None:
        self.config = TwoTowerConfig(name or str(folder.resolve()), _digest(hash_files(folder)))
        self.network = load_network(folder)
        self.net = self.network.net.eval()
        children = dict(self.net.named_children())
        self.text_tower = nn.ModuleDict({name: children[name] for name in self.network.text_modules})
        self.max_tokens, self.clip_frames = self.network.max_tokens, self.network.clip_frames
        self.centre = self.network.centre
        self.to(device)
        self.feature_dim = self._try_both(folder)

    def to(self, device: str) -> Self:
        """Move the model to a device; returns itself."""
        self.device = torch.device(device)
        self.net.to(self.device)
        # A clip is as much work as its frames.
        size = max(1, BATCH.get(self.device.type, BATCH["cpu"]) // (self.clip_frames or 1))
        self._batches = FittingBatches(self.device, size)
        self._graphed: GraphedFunction | None = None
        self._frozen: dict[str, CpuNetwork] = {}
        return self

    def freeze(self, key: str | None = None, precision: Precision = "float32") -> Self:
        """The weights stay as they are from then on, until `to`, so that on a CPU `model.cpu_backend` may compute them.

        key  what tells these weights from all others; None: the files of the model, as they are
        """
        if self.device.type == "cpu" and self.network.of_tensors:
            key = f"{key or self.config.sha256} {self.network.version}"
            grey = np.full((self.clip_frames or 1, 32, 32, 3), 128, np.uint8)
            picture = self._prepare(grey)
            if self.clip_frames is not None:
                picture = {name: value[None] for name, value in picture.items()}
            parts = {"pictures": (self.network.see, picture), "texts": (self.network.read, self.tokens(["a picture"]))}
            for part, (function, example) in parts.items():
                network = partial(_OfTensors, self.net, function, tuple(example))
                called = f"The tower of {part} of {self.config.two_tower}"
                self._frozen[part] = CpuNetwork(network, called, f"{key} {part}", precision)
                self._frozen[part].convert(*example.values())
        return self

    def _try_both(self, folder: Path) -> int:
        """The width of the common space. Raises ModelError if the towers fail or do not meet."""
        grey = np.full((1, 32, 32, 3), 128, np.uint8)
        kind = f"{self.network.class_name} in {folder}"
        try:
            seen = TwoTower.features(self, [grey])[0]  # vectors, whatever a subclass makes of frames
            read = self.texts(["a", "word " * self.max_tokens])
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # a network of other people's, with settings of other people's
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(f"The {kind} cannot be used: {reason}") from error
        if seen.shape[1] != read.shape[1]:
            raise ModelError(
                f"The {kind} gives {seen.shape[1]} values for a picture and {read.shape[1]} for a text. They "
                "cannot be compared."
            )
        if not (seen.isfinite().all() and read.isfinite().all()):
            raise ModelError(f"The {kind} returns NaN: its weights are damaged.")
        return read.shape[1]

    def use_graphs(self, recorder: Callable[..., RecordedGraph] | None = None) -> None:
        """From now on, until `to`, read texts by CUDA graphs (`recorder` makes them)."""
        names = list(self.tokens(["a"]))
        self._graphed = GraphedFunction(
            self.read,
            inputs=dict.fromkeys(names, "BL"),
            outputs=("Bd", "BLe"),
            largest={"B": TEXTS, "L": self.max_tokens},
            padding={"input_ids": self.network.padding_id},
            recorder=recorder,
        )

    @torch.inference_mode()
    def features(self, clips: Sequence[Frames]) -> list[Tensor]:
        """Unit vectors of clips: one (R_i, feature_dim) float32 tensor per clip, on the CPU.

        A model of pictures gives a row for each frame. A model of videos first gives the whole clip, by `clip_frames`
        of its frames, then its windows of as many neighbouring frames, each half a window after the previous one.
        """
        inputs = [self._prepare(frames) for frames in clips]
        joined = {name: torch.cat([clip[name] for clip in inputs]) for name in inputs[0]}
        rows, start = [], 0
        for frames in clips:
            rows.append(start + self._rows(len(frames)))
            start += len(frames)

        def forward(rows: Tensor) -> Tensor:
            chosen = {name: values[rows] for name, values in joined.items()}
            frozen = self._frozen.get("pictures")
            return self.network.see(chosen) if frozen is None else frozen(*chosen.values())[0]

        vectors = self._batches(in_half_precision(forward, self.device), torch.cat(rows).to(self.device))
        return list(fn.normalize(vectors, dim=-1).cpu().split([len(own) for own in rows]))

    def most_parts(self, frames: int) -> int:
        """How many windows, or single pictures, a clip of so many frames has."""
        rows = len(self._rows(frames))
        return rows if self.clip_frames is None else max(1, rows - 1)

    def _rows(self, frames: int) -> Tensor:
        """What is seen at a time of a clip of so many frames: their numbers, (T,) or (clips, clip_frames)."""
        if self.clip_frames is None:
            return torch.arange(frames)
        size = self.clip_frames
        whole = torch.linspace(0, frames - 1, size).round().long()
        starts = range(0, frames - size + 1, max(1, size // 2)) if frames > size else ()
        return torch.stack([whole, *(torch.arange(start, start + size) for start in starts)])

    def _prepare(self, frames: Frames) -> dict[str, Tensor]:
        """The model's own preparation of the frames of one clip, done on the device."""
        return self.network.prepare(
            upload(torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2), self.device)
        )

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors of texts, (N, feature_dim) float32 on the CPU. A text longer than the model reads is cut off.

        A GPU computes texts in single precision: there are few of them, and their order decides between near hits.
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
        return self.network.tokens(texts)

    def vectors(self, tokens: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """What `read` gives, without gradients; by a CUDA graph or by `model.cpu_backend` where they are used."""
        if (frozen := self._frozen.get("texts")) is not None:
            return frozen(*tokens.values())
        return self.read(tokens) if self._graphed is None else self._graphed(tokens, self.device)

    def read(self, tokens: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Vectors (N, feature_dim), of any length, of texts, and the states (N, L, _) of their tokens."""
        device = next(self.net.parameters()).device  # a trainer may have moved the network by itself
        if self.text_tower:
            device = next(self.text_tower.parameters()).device
        return self.network.read({name: value.to(device) for name, value in tokens.items()})


class _OfTensors(nn.Module):
    """A tower as a network of tensors in the order of `names`."""

    def __init__(self, net: nn.Module, function: Callable[[Mapping[str, Tensor]], Any], names: tuple[str, ...]) -> None:
        super().__init__()
        self.net, self._function, self._names = net, function, names

    def forward(self, *inputs: Tensor) -> Any:
        return self._function(dict(zip(self._names, inputs, strict=True)))


def load_network(folder: Path) -> LoadedNetwork:
    """The network in a folder, by whichever library reads its layout. Raises ModelError for a folder of none."""
    layout = _layout_of(folder)
    if layout.library == "open_clip":
        from model.two_tower.open_clip_network import OpenClipNetwork

        return OpenClipNetwork(layout.folder)
    if layout.library == "partners":
        from model.two_tower.text_partner import TextPartner

        return TextPartner(load_network(layout.folder / PICTURES), layout.folder / TEXT_FOLDER)
    if layout.library == "sentence-transformers":
        from model.two_tower.one_stream_network import OneStreamNetwork

        return OneStreamNetwork(layout.folder)
    from model.two_tower.transformers_network import TransformersNetwork

    return TransformersNetwork(layout.folder)


def check_without_weights(folder: Path) -> None:
    """Raise ModelError if the small files of a folder say already that its model cannot be used here."""
    layout = _layout_of(folder)
    if layout.library == "open_clip":
        from model.two_tower.open_clip_network import require_open_clip

        require_open_clip(layout.folder)
    elif layout.library == "transformers":
        from model.two_tower.transformers_network import class_of

        class_of(layout.folder)


def _layout_of(folder: Path) -> Layout:
    layout = find_layout(folder)
    if layout is None:
        raise ModelError(
            f"{folder} contains no two-tower model of pictures and texts. It has neither a config.json of "
            "transformers, nor an open_clip_config.json, nor a modules.json of sentence-transformers."
        )
    refuse_code(folder)
    return layout


def _digest(hashes: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
