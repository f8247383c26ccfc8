"""Frame backbones: any torchvision classifier, by name, without its last layers.

`resnet152` is the paper's backbone for MSR-VTT; the bundled demo checkpoint uses a small one. Published weights are
read from a state dict on disk: nothing here reaches for a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as transform

from model.cpu_backend import CpuNetwork
from model.device import FittingBatches, in_half_precision, upload
from model.encoder import Frames
from model.precision import Precision
from model.vision.backbone_config import BackboneConfig
from quartet.errors import InputError, ModelError

_HEADS = ("fc", "classifier", "heads", "head")
_MAX_FEATURES = 8192  # wider means that the head held the pooling: these are not frame features


_IN_CHECKPOINT = "backbone.net."
"""How the names of a backbone's weights begin in a checkpoint."""


class Backbone(nn.Module):
    """Frames to features: uint8 (N, 3, H, W) at `image_size` -> float32 (N, feature_dim)."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        if config.arch not in torchvision.models.list_models(torchvision.models):
            raise InputError(
                f"Unknown backbone {config.arch!r}. Any classification model of torchvision works, such as "
                "resnet152, mobilenet_v3_small or convnext_tiny."
            )
        self.net = torchvision.models.get_model(config.arch, weights=None)
        head = next((name for name in _HEADS if hasattr(self.net, name)), None)
        if head is None:
            raise ModelError(f"Backbone {config.arch!r} has none of the known heads {', '.join(_HEADS)}.")
        setattr(self.net, head, nn.Identity())
        self.register_buffer("mean", torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor
        self._batches: FittingBatches | None = None
        self._frozen: CpuNetwork | None = None
        self.feature_dim = self._probe()

    def _probe(self) -> int:
        was_training = self.training
        self.eval()
        with torch.inference_mode():
            dim = self.forward(torch.zeros(1, 3, *self.config.image_size, dtype=torch.uint8)).shape[1]
        self.train(was_training)
        if dim > _MAX_FEATURES:
            raise ModelError(f"Backbone {self.config.arch!r} returns {dim} values per frame: it has no pooling layer.")
        return dim

    def forward(self, images: Tensor) -> Tensor:
        return self.net((images.float() / 255 - self.mean) / self.std).flatten(1)

    def prepare(self, frames: Frames) -> Tensor:
        """The frames of one clip, (T, H, W, 3) uint8, as network input on its device: (T, 3, *image_size) uint8."""
        images = upload(torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2), self.mean.device)
        height, width = self.config.image_size
        if self.config.resize == "stretch":
            return transform.resize(images, [height, width], antialias=True)
        # torchvision's presets scale to 256 for a crop of 224: the same ratio for any size.
        scale = max(height / images.shape[2], width / images.shape[3]) * 256 / 224
        size = [round(images.shape[2] * scale), round(images.shape[3] * scale)]
        return transform.center_crop(transform.resize(images, size, antialias=True), [height, width])

    @torch.inference_mode()
    def features(self, clips: Sequence[Frames], batch_size: int | None = None) -> list[Tensor]:
        """Features of every frame of every clip: one (T_i, feature_dim) float32 tensor per clip, on the CPU."""
        images = torch.cat([self.prepare(frames) for frames in clips])
        device = self.mean.device
        if self._batches is None or self._batches.device != device:
            self._batches = FittingBatches(device, batch_size)
        frozen = self._frozen if device.type == "cpu" else None
        network = in_half_precision(self, device) if frozen is None else (lambda rows: frozen(rows)[0])
        return list(self._batches(network, images).cpu().split([len(frames) for frames in clips]))

    def freeze(self, key: str | None = None, precision: Precision = "float32") -> None:
        """The weights stay as they are from then on, so that on a CPU `features` may use `model.cpu_backend`.

        key  what tells these weights from all others
        """
        self.eval()
        self._frozen = CpuNetwork(lambda: self, f"The backbone {self.config.arch}", key, precision)

    def load_weights(self, path: Path) -> None:
        """Read a torchvision state dict (safetensors or .pth), or the backbone's part of a checkpoint's weights.

        Entries of the network's head are ignored.

        Raises ModelError if an entry of the network is missing or has another shape.
        """
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
            state |= {name.removeprefix(_IN_CHECKPOINT): value for name, value in state.items()}
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        own = self.net.state_dict()
        wrong = [name for name, value in own.items() if name not in state or state[name].shape != value.shape]
        if wrong:
            raise ModelError(
                f"{path} does not contain weights of {self.config.arch}: {len(wrong)} entries are missing or "
                f"have another shape, the first is {wrong[0]!r}."
            )
        self.net.load_state_dict({name: state[name] for name in own})
