"""`quartet doctor`: what works on this machine and what does not."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from quartet import __version__
from service.cli.options import console, settings_of


def doctor() -> None:
    """Check the installation: versions, device, decoders, bundled weights.

    Every check really runs: the command writes and reads a video, encodes a sentence with the bundled model and
    compares the files of prepared models with what was fetched. Exit code 1 if a check fails.
    """
    out = console()
    table = Table(box=None, show_header=False, pad_edge=False)
    failed = 0
    with out.status("Checking"):
        for name, check in _CHECKS.items():
            try:
                table.add_row("[green]ok[/]", name, check())
            # Whatever goes wrong is what this command is for: it is shown, and it sets the exit code.
            except Exception as error:
                failed += 1
                table.add_row("[red]failed[/]", name, escape(f"{type(error).__name__}: {error}"))
    out.print(table, highlight=False)
    if failed:
        raise typer.Exit(1)


def _quartet() -> str:
    machine = f"{platform.system()} {platform.machine()}"
    return f"{__version__} on Python {platform.python_version()}, {machine}"


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        names = (torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return f"torch {torch.__version__}, CUDA: {', '.join(names)}"
    return f"torch {torch.__version__}, no GPU: CPU with {torch.get_num_threads()} threads"


def _index() -> str:
    import faiss
    import numpy as np

    flat = faiss.IndexFlatIP(4)
    flat.add(np.eye(4, dtype=np.float32))
    _, found = flat.search(np.eye(4, dtype=np.float32)[2:3], 1)
    if found[0, 0] != 2:
        raise RuntimeError("A test index of four vectors does not find the third one.")
    return f"faiss {faiss.__version__}"


def _decoding() -> str:
    from indexer.media.clip_reader import sample_frames

    with tempfile.TemporaryDirectory(prefix="quartet-") as folder:
        path = Path(folder) / "doctor.mp4"
        _write_video(path)
        frames = sample_frames(path, 4).frames
    if frames.shape != (4, 64, 64, 3):
        raise RuntimeError(f"A video that was just written reads as frames of shape {frames.shape}.")
    return f"PyAV {version('av')}: wrote and read back an H.264 file"


def _codecs() -> str:
    import av

    wanted = {"h264": "H.264", "hevc": "H.265", "vp9": "VP9", "av1": "AV1", "mpeg4": "MPEG-4", "vp8": "VP8"}
    there = [label for name, label in wanted.items() if name in av.codecs_available]
    return f"PyAV {version('av')}: {', '.join(there)}"


def _language() -> str:
    return f"spaCy {version('spacy')}, sentence-transformers {version('sentence-transformers')}"


def _bundled_model() -> str:
    from model.registry import load_encoder

    encoder = load_encoder("demo")
    batch = encoder.encode_texts(["a dog runs after a ball"])
    found = batch.attributes[0]
    words = ", ".join([*found.entity, *found.action, *found.relation])
    return f"{encoder.spec.name} ({encoder.spec.fingerprint}) on {encoder.device} reads: {words}"


def _prepared_models() -> str:
    from model.two_tower.prepared_models import DEFAULT_MODEL, find_prepared, hash_files, prepared_names

    models = settings_of().models
    names = prepared_names(models)
    for name in names:
        folder = find_prepared(models, name)
        if folder is not None:
            hash_files(folder)  # raises if a file is not as it was fetched
    return ", ".join(names) or f"none; for videos of the real world: quartet prepare {DEFAULT_MODEL}"


def _write_video(path: Path) -> None:
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for i in range(8):
            picture = np.full((64, 64, 3), 30 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


_CHECKS: dict[str, Callable[[], str]] = {
    "quartet": _quartet,
    "device": _device,
    "index": _index,
    "decoding": _decoding,
    "codecs": _codecs,
    "language": _language,
    "bundled model": _bundled_model,
    "prepared models": _prepared_models,
}
