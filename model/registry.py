"""From the name or folder of a model to its encoder."""

from __future__ import annotations

import ctypes
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from model.encoder import Encoder, QuerySettings
from model.levels import resolve_weights
from model.mcsan.checkpoint_identity import BASELINE, CONFIG_FILE, fingerprint_of
from model.precision import Precision
from model.two_tower.layouts import find_layout
from model.two_tower.prepared_models import (
    KNOWN,
    MODELS_FOLDER,
    find_prepared,
    prepared_folder,
    prepared_names,
    read_record,
)
from quartet.errors import ModelError

BUNDLED = Path(__file__).parent / "bundled"
MODELS = {"demo": BUNDLED / "demo"}
"""Checkpoints that ship with the package."""

_BUILT_BY = {"quartet-demo": "demo"}
"""What the bundled checkpoints call themselves in a library, and their names here."""


def load_encoder(
    name_or_path: str | Path,
    device: str = "auto",
    models: Path = MODELS_FOLDER,
    cuda_graphs: bool = False,
    queries: QuerySettings | None = None,
    precision: Precision = "float32",
) -> Encoder:
    """An encoder by name or by folder.

    A name is "demo" (the bundled checkpoint), that of a model which `quartet prepare` has put below `models`, or "fake"
    (for tests). A folder holds a checkpoint of `quartet train`, or a two-tower model as transformers writes it.
    `device` is "cpu", "cuda", "cuda:1" ..., or "auto": a GPU where there is one. With `cuda_graphs` texts are encoded
    by CUDA graphs there. `queries` is what a library has set for its queries: for an encoder that searches, not for one
    that indexes. `precision` is what a CPU computes frozen networks in.
    Raises ModelError if there is no such model or it cannot be loaded. Nothing is ever downloaded.
    """
    set_by_library = queries or QuerySettings()
    encoder = _loaded(str(name_or_path), device, models, cuda_graphs, set_by_library, precision)
    if set_by_library.weights:
        weights = resolve_weights(encoder.spec.levels, set_by_library.weights)
        levels = tuple(replace(level, weight=weights[level.name]) for level in encoder.spec.levels)
        encoder.spec = replace(encoder.spec, levels=levels)
    return encoder


def _loaded(
    name: str, device: str, models: Path, cuda_graphs: bool, queries: QuerySettings, precision: Precision
) -> Encoder:
    if name == "fake":
        from model.fake_encoder import FakeEncoder

        return FakeEncoder(frames=True)
    prepared = find_prepared(models, name)
    folder = prepared or Path(name)
    if prepared is not None or (name not in MODELS and find_layout(folder) is not None):
        from model.language.spacy_parser import load_parsers
        from model.two_tower.encoder import ClipEncoder

        called = read_record(prepared).name if prepared is not None else folder.resolve().name
        there = resolve_device(device)
        graphs = cuda_graphs and is_gpu(there)
        return ClipEncoder(
            folder,
            called,
            there,
            cuda_graphs=graphs,
            templates=queries.prompts,
            precision=precision,
            languages=load_parsers(queries.parsers),
        )
    if queries.prompts:
        raise ModelError(
            f"The model {name!r} does not use prompts: only a two-tower model does. Remove them "
            "with `quartet tune --undo`."
        )
    folder, there = checkpoint_folder(name, models), resolve_device(device)
    if holds_baseline(folder):
        from model.baselines.encoder import BaselineEncoder

        return BaselineEncoder(folder, there, models=models, precision=precision)
    from model.mcsan.encoder import McsanEncoder

    graphs = cuda_graphs and is_gpu(there)
    return McsanEncoder(folder, there, models=models, cuda_graphs=graphs, precision=precision)


def name_elsewhere(name: str, models: Path = MODELS_FOLDER) -> str:
    """What to call a model in a process with another working folder: a folder gets its absolute path."""
    named = name == "fake" or name in MODELS or find_prepared(models, name) is not None
    return name if named or not Path(name).is_dir() else str(Path(name).resolve())


def require_model(name: str, models: Path = MODELS_FOLDER) -> None:
    """Raises ModelError as `load_encoder` does where there is no such model, without loading anything."""
    if name != "fake" and find_prepared(models, name) is None:
        checkpoint_folder(name, models)


def checkpoint_folder(name_or_path: str | Path, models: Path = MODELS_FOLDER) -> Path:
    """The folder of a checkpoint by name or path. Raises ModelError that says what to do if there is none."""
    name = str(name_or_path)
    folder = MODELS.get(name, Path(name))
    if folder.is_dir():
        return folder
    if name in KNOWN:
        prepared_folder(models, name)  # says so where no folder of models is known
        raise ModelError(f"The weights of {name} are not on this machine. Run: quartet prepare {name}")
    fetched = f" If it is a repository of a model hub, run: quartet prepare {name}." if name.count("/") == 1 else ""
    raise ModelError(
        f"There is no model {name!r}. Give the folder of a checkpoint, or one of: "
        f"{', '.join([*MODELS, *prepared_names(models)])}.{fetched} `quartet models` lists more."
    )


def checkpoint_fingerprint(name_or_path: str | Path) -> str | None:
    """The fingerprint of a checkpoint by name or folder, read without loading it; None where there is none to read.

    Whether the weights are those that the configuration names, loading tells.
    """
    config = _config(MODELS.get(str(name_or_path), Path(name_or_path)))
    return fingerprint_of(config) if "weights_sha256" in config else None


def needs_pytorch(name: str, models: Path = MODELS_FOLDER) -> bool:
    """Whether a model needs PyTorch on a CPU for texts, whatever `model.cpu_backend` has kept of it."""
    if name == "fake":
        return False
    if name not in MODELS and (find_prepared(models, name) is not None or find_layout(Path(name)) is not None):
        return True
    from model.mcsan.encoder import McsanEncoder

    return not McsanEncoder.loads_late(_config(MODELS.get(name, Path(name))))


def holds_baseline(folder: Path) -> bool:
    """Whether a folder is a checkpoint of a model of `model/baselines`."""
    return BASELINE in _config(folder)


def _config(folder: Path) -> dict[str, Any]:
    """What a checkpoint says of itself; nothing where there is none that can be read."""
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def name_of_builder(built_by: str, models: Path = MODELS_FOLDER) -> str | None:
    """The name to load a model by which a library calls `built_by`; None for a checkpoint, which has a folder only."""
    name = _BUILT_BY.get(built_by, built_by)
    return name if name in MODELS or find_prepared(models, name) is not None or name in KNOWN else None


def is_gpu(device: str) -> bool:
    """Whether the name of a device is that of an NVIDIA or AMD GPU."""
    return device.startswith("cuda")


def _has_gpu_driver() -> bool:
    """Whether PyTorch may find a GPU. Loading PyTorch to ask takes seconds and 0.3 GB."""
    if sys.platform != "linux" or Path("/dev/kfd").exists():  # the driver of AMD
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def resolve_device(device: str) -> str:
    """ "auto" becomes "cuda" where PyTorch sees a GPU, else "cpu"; other names are checked.

    Raises ModelError for a device that is not there.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise ModelError(f"Unknown device {device!r}. Give auto, cpu, cuda or cuda:N.")
    if device == "cpu" or (device == "auto" and not _has_gpu_driver()):
        return "cpu"
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"Device {device!r} cannot be used: {error}".splitlines()[0]) from error
    return device
