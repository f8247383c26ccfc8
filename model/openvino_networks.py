"""Networks as OpenVINO reads them: converted from PyTorch, kept on disk, compiled."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

_CONVERTER = "openvino.tools.ovc"

NETWORK_FILE = "network.xml"
"""Next to it is an empty file by the name of each precision in which results have been compared with PyTorch's."""

_MAX_CACHED = 24
"""Networks on disk: the one that has not been opened for longest goes first."""


def openvino_without_telemetry() -> Any:
    """OpenVINO without its telemetry, which would send a report of each import to its maker without asking.

    Nor with what converts networks (see `convert`), which is two thirds of the import. No other code may import it.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    if "openvino" not in sys.modules:
        sys.modules.setdefault(_CONVERTER, None)  # type: ignore[arg-type]
    try:
        import openvino
    finally:
        if sys.modules.get(_CONVERTER, openvino_without_telemetry) is None:
            sys.modules.pop(_CONVERTER, None)
    return openvino


def convert(network: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    """A network of PyTorch as one of OpenVINO, not compiled. Warns of sizes that its trace takes for constants."""
    openvino_without_telemetry()
    return import_module(_CONVERTER).convert_model(network, example_input=inputs)


def written_network(openvino: Any, core: Any, model: Any, place: Path | None) -> Any:
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
        openvino.save_model(model, made / NETWORK_FILE, compress_to_fp16=False)
        if place is not None and parent is not None:
            with suppress(OSError):  # another process was first
                made.rename(place)
                made = place
                _forget_old(place.parent)
        return core.read_model(made / NETWORK_FILE)


def compiled_network(core: Any, model: Any, place: Path | None, settings: Mapping[str, Any]) -> Any:
    """A network that runs: as an earlier process has compiled it, in half the time and less, else compiled and kept.

    Next to its files is what the processor runs, without the weights. OpenVINO compiles again where it cannot use that.
    """
    if place is None or not (place / NETWORK_FILE).is_file():
        return core.compile_model(model, "CPU", settings)
    kept = place / "compiled {INFERENCE_PRECISION_HINT} {INFERENCE_NUM_THREADS}".format(**settings)
    with ExitStack() as stack:
        folder = kept
        if not kept.is_dir():
            try:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=place)), "made")
            except OSError:  # a folder that only others may write
                return core.compile_model(model, "CPU", settings)
        where = {"CACHE_DIR": str(folder), "CACHE_MODE": "OPTIMIZE_SIZE"}
        compiled = core.compile_model(place / NETWORK_FILE, "CPU", {**settings, **where})
        if folder is not kept:
            with suppress(OSError):  # another process was first
                folder.rename(kept)
    return compiled


def _forget_old(folder: Path) -> None:
    """Delete all but the `_MAX_CACHED` networks that were opened last."""
    networks = sorted(folder.glob(f"*/{NETWORK_FILE}"), key=lambda network: network.parent.stat().st_mtime)
    for network in networks[:-_MAX_CACHED]:
        shutil.rmtree(network.parent, ignore_errors=True)
