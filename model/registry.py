"""From the name or folder of a model to its encoder."""

from __future__ import annotations

from pathlib import Path

from model.encoder import Encoder
from model.errors import ModelError

BUNDLED = Path(__file__).parent / "bundled"
MODELS = {"demo": BUNDLED / "demo"}
"""Checkpoints that ship with the package."""


def load_encoder(name_or_path: str | Path, device: str = "auto") -> Encoder:
    """An encoder by name ("demo", the bundled checkpoint; "fake", for tests) or by the folder of a checkpoint.

    `device` is "cpu", "cuda", "cuda:1" ..., or "auto": a GPU where there is one.
    Raises ModelError if there is no such model or it cannot be loaded.
    """
    if str(name_or_path) == "fake":
        from model.fake import FakeEncoder

        return FakeEncoder()
    from model.mcsan_encoder import McsanEncoder

    return McsanEncoder(checkpoint_folder(name_or_path), resolve_device(device))


def checkpoint_folder(name_or_path: str | Path) -> Path:
    """The folder of a checkpoint by name or path. Raises ModelError if there is none."""
    folder = MODELS.get(str(name_or_path), Path(name_or_path))
    if not folder.is_dir():
        raise ModelError(
            f"There is no model {str(name_or_path)!r}. Give the folder of a checkpoint, or one of: {', '.join(MODELS)}."
        )
    return folder


def resolve_device(device: str) -> str:
    """ "auto" becomes "cuda" where PyTorch sees a GPU, else "cpu"; other names are checked.

    Raises ModelError for a device that is not there.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"Device {device!r} cannot be used: {error}".splitlines()[0]) from error
    return device
