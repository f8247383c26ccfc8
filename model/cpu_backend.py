"""Frozen networks on the CPU by OpenVINO, which fuses their layers; PyTorch is the reference, and answers without it.

What OpenVINO makes of a network is kept on disk, and that its results were compared with PyTorch's. So the next process
needs neither to convert the network nor to import PyTorch, which takes seconds and 0.3 GB. OpenVINO computes in the
precision asked for: float32, or bfloat16 where the processor has it, which is faster and close enough that vectors of
both can be compared (docs/performance.md).
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model.openvino_networks import (
    NETWORK_FILE,
    compiled_network,
    convert,
    openvino_without_telemetry,
    written_network,
)
from model.precision import BF16_BOUND, Precision, usable_precision

if TYPE_CHECKING:
    from torch import Tensor, nn

LOG = logging.getLogger(__name__)

Array = npt.NDArray[Any]

TOLERANCE = 1e-4
"""Of the largest number of a result: the most that OpenVINO's may be off. Rounding in float32 is a tenth of it."""

_HINTS = {"float32": "f32", "bf16": "bf16"}

_CHECKED = 3
"""Sizes of input whose results are compared with PyTorch's: a traced network may have taken a size for a constant."""


def networks_folder() -> Path:
    """Where converted networks are kept."""
    return Path.home() / ".cache" / "quartet" / "networks"


@cache
def _processor() -> str:
    """Which processor this is, as OpenVINO sees it: results on another one have not been compared."""
    core = openvino_without_telemetry().Core()
    return f"{core.get_property('CPU', 'FULL_DEVICE_NAME')} {core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')}"


class CpuNetwork:
    """A frozen network of tensors (B, ...) on the CPU, for any thread at any time.

    load  the network with PyTorch: tensors to a tensor or a tuple of them. Called only where it is needed
    name  for people, in a warning
    key   what tells these weights from all others: with it, what was converted is kept. None: it is not

    The first inputs of a network that is converted are computed by PyTorch as well. Where OpenVINO is not installed,
    fails or disagrees, one warning says so and PyTorch answers from then on, in float32. Where bfloat16 is more than
    `BF16_BOUND` off, OpenVINO computes in float32 first.
    """

    def __init__(
        self, load: Callable[[], nn.Module], name: str, key: str | None = None, precision: Precision = "float32"
    ) -> None:
        self._load = load
        self._name = name
        self._key = key
        self._precision = usable_precision(precision)
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._network: nn.Module | None = None
        self._compiled: Any = None
        self._model: Any = None  # converted, and not compiled yet
        self._tried = self._failed = False
        self._to_check: set[tuple[tuple[int, ...], ...]] | None = None
        self._warned_infinite = False

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """As `arrays`, from tensors to tensors."""
        import torch

        return tuple(map(torch.from_numpy, self.arrays(*(value.numpy() for value in inputs))))

    def arrays(self, *inputs: Array) -> tuple[Array, ...]:
        """What the network makes of its inputs. PyTorch is imported only where it has to answer."""
        if self._tried:
            return self._answer(inputs)
        with self._first_process():
            with self._lock:
                if not self._tried:
                    self._prepare(inputs)
                    self._tried = True
            return self._answer(inputs)

    @contextmanager
    def _first_process(self) -> Iterator[None]:
        """One process converts and compares a network that is kept; the others wait, and find it on disk."""
        try:
            place = self._place()
        except Exception:  # `_try` says what is wrong with OpenVINO
            place = None
        if place is None or (place / self._precision).exists():
            yield
            return
        with ExitStack() as stack:
            with suppress(OSError):  # a folder that only others may write
                place.parent.mkdir(parents=True, exist_ok=True)
                # One file for all networks, which stays: whoever waits on a deleted one would wait on nothing.
                fcntl.flock(stack.enter_context(place.parent.with_suffix(".lock").open("w")), fcntl.LOCK_EX)
            yield

    def _answer(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        compiled = self._compiled
        if compiled is None:
            return self._reference(inputs)
        try:
            found = self._infer(compiled, inputs)
        except Exception as error:
            return self._give_up(_line(error), inputs)
        if not all(np.isfinite(value).all() for value in found):
            return self._finite(inputs)
        if self._to_check is None:
            return found
        return self._checked(inputs, found)

    def convert(self, *inputs: Tensor) -> None:
        """Convert the network now unless it is kept: that takes seconds to a minute, which no caller should wait for.

        inputs  an example
        """
        with self._lock:
            self._try(lambda: self._converted(tuple(value.numpy() for value in inputs)))

    def _prepare(self, inputs: tuple[Array, ...]) -> None:
        self._try(lambda: self._compile(inputs))

    def _try(self, step: Callable[[], object]) -> None:
        """Whatever OpenVINO raises is one warning, and PyTorch answers from then on."""
        if self._failed:
            return
        try:
            openvino_without_telemetry()
        except Exception as error:  # not installed, or a library that it needs is missing
            LOG.info("%s runs on PyTorch because OpenVINO cannot be imported: %s", self._name, error)
            self._failed = True
            return
        try:
            step()
        except Exception as error:
            self._compiled, self._failed = None, True
            LOG.warning("%s runs on PyTorch because OpenVINO failed: %s", self._name, _line(error))

    def _compile(self, inputs: tuple[Array, ...]) -> None:
        core, model = self._converted(inputs)
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[self._precision],
            "INFERENCE_NUM_THREADS": _threads(),
            "ENABLE_CPU_PINNING": False,  # several processes would choose the same cores
        }
        # Whether results in this precision have been compared with PyTorch's, here or by another process.
        kept = self._place()
        self._to_check = set() if kept is None or not (kept / self._precision).exists() else None
        self._compiled = compiled_network(core, model, kept, settings)
        self._model = None

    def _converted(self, inputs: tuple[Array, ...]) -> tuple[Any, Any]:
        """OpenVINO, and the network as it reads it: from disk, or converted and kept there."""
        openvino = openvino_without_telemetry()
        core = openvino.Core()
        if self._model is not None:
            return core, self._model
        kept = self._place()
        if kept is not None and (kept / NETWORK_FILE).is_file():
            with suppress(RuntimeError):  # damaged: it is made again
                self._model = core.read_model(kept / NETWORK_FILE)
            with suppress(OSError):  # a folder that only others may write
                kept.touch()
        if self._model is None:
            import torch

            with torch.inference_mode(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # tracing warns of sizes taken for constants: results are compared
                model = convert(self._loaded(), tuple(map(torch.from_numpy, inputs)))
            self._model = written_network(openvino, core, model, kept)
        return core, self._model

    def _place(self) -> Path | None:
        if self._key is None:
            return None
        parts = (self._key, version("openvino"), version("torch"), _processor())
        try:
            folder = networks_folder()
        except RuntimeError:  # the user has no home
            return None
        return folder / hashlib.sha256(repr(parts).encode()).hexdigest()[:24]

    def _infer(self, compiled: Any, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        made_by: Any
        request: Any
        made_by, request = getattr(self._mine, "request", (None, None))
        if made_by is not compiled:
            request = compiled.create_infer_request()
            self._mine.request = compiled, request
        results = request.infer(list(inputs), share_inputs=True)
        return tuple(np.array(results[i]) for i in range(len(compiled.outputs)))

    def _finite(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """What PyTorch makes of input for which OpenVINO gives no numbers: attention among nothing, for one."""
        with self._lock:
            if not self._warned_infinite:
                LOG.info("%s: PyTorch computes what OpenVINO gives no finite numbers for.", self._name)
                self._warned_infinite = True
            return self._reference(inputs)

    def _checked(self, inputs: tuple[Array, ...], found: tuple[Array, ...]) -> tuple[Array, ...]:
        shapes = tuple(value.shape for value in inputs)
        with self._lock:
            if self._to_check is None or shapes in self._to_check:
                return found
            right = self._reference(inputs)
            if [value.shape for value in found] != [value.shape for value in right]:
                off, bound, reason = 1.0, 0.0, "its results have other sizes"
            elif self._precision == "bf16":
                off, bound = max(map(_turned, found, right)), BF16_BOUND
                reason = f"its vectors in bfloat16 are off by a cosine of 1 - {off:.1e}"
            else:
                off, bound = max(map(_differing, found, right)), TOLERANCE
                reason = f"its results differ by {off:.1e} of the largest value"
            if off <= bound:
                self._to_check.add(shapes)
                with suppress(OSError):
                    if (kept := self._place()) is not None and kept.is_dir():
                        (kept / self._precision).touch()
                if len(self._to_check) == _CHECKED:
                    self._to_check = None
                    self._network = None  # OpenVINO has its own copy of the weights
                return found
            if self._precision == "bf16":
                LOG.warning("%s is computed in float32: %s.", self._name, reason)
                self._precision = "float32"
                self._prepare(inputs)
                reason = ""
        return self._give_up(reason, inputs) if reason else self.arrays(*inputs)

    def _give_up(self, reason: str, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        with self._lock:
            if self._compiled is not None:
                LOG.warning("%s runs on PyTorch because OpenVINO failed: %s", self._name, reason)
                self._compiled = None
                self._failed = True
                if (kept := self._place()) is not None:
                    shutil.rmtree(kept, ignore_errors=True)
        return self._reference(inputs)

    def _reference(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        import torch

        with torch.inference_mode():
            result = self._loaded()(*map(torch.from_numpy, inputs))
        return tuple(value.numpy() for value in (result if isinstance(result, tuple) else (result,)))

    def _loaded(self) -> nn.Module:
        if self._network is None:
            self._network = self._load().eval()
        return self._network


def _differing(found: Array, right: Array) -> float:
    """The largest difference, of the largest number."""
    return float(np.abs(found - right).max() / max(np.abs(right).max(), 1e-30))


def _turned(found: Array, right: Array) -> float:
    """1 - the least cosine of the vectors in the last dimension, but for those of padding: zeros."""
    real = right.any(-1)
    if not real.any():
        return 0.0
    one, other = (value[real].astype(np.float64) for value in (found, right))
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return 1 - float(((one * other).sum(-1) / np.maximum(lengths, 1e-300)).min())


def _threads() -> int:
    """As many as PyTorch uses, or would use where it is not imported; 0: as many as OpenVINO chooses."""
    if (torch := sys.modules.get("torch")) is not None:
        return int(torch.get_num_threads())
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() else 0


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
