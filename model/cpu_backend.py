"""Frozen networks on the CPU by OpenVINO, which fuses their layers; PyTorch is the reference, and answers without it.

What OpenVINO makes of a network is kept on disk, so that the next process needs neither to convert the network nor to
load it with PyTorch. It is told to compute in float32: by default it uses bfloat16 where a processor has it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

LOG = logging.getLogger(__name__)

TOLERANCE = 1e-4
"""Of the largest number of a result: the most that OpenVINO's may be off. Rounding in float32 is a tenth of it."""

_CHECKED = 3
"""Sizes of input whose results are compared with PyTorch's: a traced network may have taken a size for a constant."""

_FILE = "network.xml"


def networks_folder() -> Path:
    """Where converted networks are kept."""
    return Path.home() / ".cache" / "quartet" / "networks"


def _openvino() -> Any:
    """OpenVINO without its telemetry, which would send a report of each import to its maker without asking."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


class CpuNetwork:
    """A frozen network of tensors (B, ...) on the CPU, for any thread at any time.

    load  the network with PyTorch: tensors to a tensor or a tuple of them. Called only where it is needed
    name  for people, in a warning
    key   what tells these weights from all others: with it, what was converted is kept. None: it is not

    The first inputs of a network that is converted are computed by PyTorch as well. Where OpenVINO is not installed,
    fails or disagrees, one warning says so and PyTorch answers from then on.
    """

    def __init__(self, load: Callable[[], nn.Module], name: str, key: str | None = None) -> None:
        self._load = load
        self._name = name
        self._key = key
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._network: nn.Module | None = None
        self._compiled: Any = None
        self._tried = False
        self._to_check: set[tuple[torch.Size, ...]] | None = None

    @torch.inference_mode()
    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if not self._tried:
            with self._lock:
                if not self._tried:
                    self._prepare(inputs)
                    self._tried = True
        if self._compiled is None:
            return self._reference(inputs)
        try:
            found = self._infer(inputs)
        except Exception as error:
            return self._give_up(str(error), inputs)
        if self._to_check is None:
            return found
        return self._checked(inputs, found)

    def _prepare(self, inputs: tuple[Tensor, ...]) -> None:
        try:
            openvino = _openvino()
        except Exception as error:  # not installed, or a library that it needs is missing
            LOG.info("%s runs by PyTorch: OpenVINO cannot be imported: %s", self._name, error)
            return
        try:
            core = openvino.Core()
            kept = self._place(openvino.__version__)
            model = None
            if kept is not None and (kept / _FILE).is_file():
                with suppress(RuntimeError):  # damaged: it is made anew
                    model = core.read_model(kept / _FILE)
            if model is None:
                self._to_check = set()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # tracing warns of sizes taken for constants: results are compared
                    model = openvino.convert_model(self._loaded(), example_input=inputs)
                model = _written(openvino, core, model, kept)
            settings = {
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                "ENABLE_CPU_PINNING": False,  # several processes would choose the same cores
            }
            self._compiled = core.compile_model(model, "CPU", settings)
        except Exception as error:
            self._compiled = None
            LOG.warning("%s runs by PyTorch, since OpenVINO has failed: %s", self._name, _line(error))

    def _place(self, version: str) -> Path | None:
        if self._key is None:
            return None
        parts = (self._key, version, torch.__version__, torch.backends.cpu.get_cpu_capability())
        try:
            folder = networks_folder()
        except RuntimeError:  # the user has no home
            return None
        return folder / hashlib.sha256(repr(parts).encode()).hexdigest()[:24]

    def _infer(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        request = getattr(self._mine, "request", None)
        if request is None:
            request = self._mine.request = self._compiled.create_infer_request()
        results = request.infer([value.numpy() for value in inputs], share_inputs=True)
        return tuple(torch.from_numpy(np.array(results[i])) for i in range(len(self._compiled.outputs)))

    def _checked(self, inputs: tuple[Tensor, ...], found: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        shapes = tuple(value.shape for value in inputs)
        with self._lock:
            if self._to_check is None or shapes in self._to_check:
                return found
            right = self._reference(inputs)
            off = max(
                float((own - other).abs().max() / other.abs().max().clamp_min(1e-30))
                for own, other in zip(found, right, strict=True)
            )
            if off <= TOLERANCE:
                self._to_check.add(shapes)
                if len(self._to_check) == _CHECKED:
                    self._to_check = None
                    self._network = None  # OpenVINO has its own copy of the weights
                return found
        return self._give_up(f"its results are off by {off:.1e} of the largest", inputs)

    def _give_up(self, reason: str, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        with self._lock:
            if self._compiled is not None:
                LOG.warning("%s runs by PyTorch, since OpenVINO has failed: %s", self._name, reason.splitlines()[0])
                self._compiled = None
                if (kept := self._place(_version())) is not None:
                    shutil.rmtree(kept, ignore_errors=True)
        return self._reference(inputs)

    def _reference(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        result = self._loaded()(*inputs)
        return result if isinstance(result, tuple) else (result,)

    def _loaded(self) -> nn.Module:
        if self._network is None:
            self._network = self._load().eval()
        return self._network


def _version() -> str:
    return str(_openvino().__version__)


def _written(openvino: Any, core: Any, model: Any, place: Path | None) -> Any:
    """A converted network as it is read from its files, which stay at `place` where that can be written.

    Read, it is fused otherwise than just converted, and its results differ in their last bits. So every process has
    it from files: the first as well, and those that can keep none.
    """
    if place is not None:
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
    parent = place.parent if place is not None and os.access(place.parent, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        made = Path(folder, "made")
        openvino.save_model(model, made / _FILE, compress_to_fp16=False)
        if place is not None and parent is not None:
            with suppress(OSError):  # another process was first
                made.rename(place)
                made = place
        return core.read_model(made / _FILE)


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
