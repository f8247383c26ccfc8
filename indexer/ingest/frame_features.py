"""Frame features of many videos in one HDF5 file, to train on.

What is done is next to the file, one small array per video, until all of it is put into the file at once: HDF5 does
not survive a kill in the middle of a write, and a kill here costs no more than the video in flight.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from indexer.catalog.records import Failure
from indexer.media.decode_pool import DecodePool
from model.encoder import Frames
from model.training.data.atomic_files import replacing, write_json
from model.training.data.dataset_checks import list_names
from model.training.data.feature_file import FeatureFile, key_of
from model.vision.frame_networks import FrameNetwork
from quartet.errors import InputError, VideoError

OnProgress = Callable[[int, int], None]
"""Receives how many of how many videos are dealt with."""


@dataclass(frozen=True)
class FeatureReport:
    """What a run did: videos encoded now, those that the file had already, those that cannot be read."""

    encoded: int
    known: int
    refused: list[Failure]


def files_below(folder: Path) -> dict[str, Path]:
    """The files in a folder and its subfolders by their path in it, in order; not hidden ones.

    Raises InputError if there is no folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder.")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path for path in files}


def by_name(files: Mapping[str, Path]) -> dict[str, Path]:
    """`files_below` by the names of their features: without the suffix.

    Raises InputError if files would share a name or a dataset.
    """
    names = {file: PurePosixPath(file).with_suffix("").as_posix() for file in files}
    counts = Counter(map(key_of, names.values()))
    shared = [file for file, name in names.items() if counts[key_of(name)] > 1]
    if shared:
        raise InputError(
            list_names(
                "Two videos have the same name apart from the extension. Rename one of each pair", shared, counted=False
            )
            + "."
        )
    return {names[file]: path for file, path in files.items()}


def encode_videos(
    files: Mapping[str, Path],
    network: FrameNetwork,
    out: Path,
    frames: int,
    on_progress: OnProgress = lambda done, total: None,
    workers: int = 1,
) -> FeatureReport:
    """Sample `frames` frames of every video and store their features in `out` under its name.

    What `out` has is not made again; a run that was stopped goes on. Raises InputError if `out` holds features of
    another backbone.
    """
    known = set()
    if out.exists():
        with FeatureFile(out) as store:
            _require_same(out, store.backbone and asdict(store.backbone), network)
            known = {name for name in files if name in store}
    parts = _Parts(out, network)
    todo = [name for name in files if name not in known and name not in parts]
    refused: list[Failure] = []
    pool = DecodePool(workers)
    try:
        # A few videos are decoded ahead of the network, no more: frames are large.
        waiting: deque[tuple[str, Future[Frames]]] = deque()
        ahead = iter(todo)
        for done in range(len(todo)):
            while len(waiting) <= workers and (name := next(ahead, None)) is not None:
                waiting.append((name, pool.submit(partial(_frames_of, pool, files[name], frames))))
            name, future = waiting.popleft()
            try:
                parts.add(name, network.features([future.result()])[0])
            except VideoError as error:
                refused.append(Failure(files[name], error.reason, error.detail))
            on_progress(len(files) - len(todo) + done + 1, len(files))
    finally:
        pool.close()
    parts.merge([name for name in files if name in parts])
    return FeatureReport(len(todo) - len(refused), len(files) - len(todo), refused)


def _frames_of(pool: DecodePool, path: Path, count: int) -> Frames:
    """`count` frames of a whole file. Raises VideoError."""
    (clip,) = pool.clips(path, count)
    return clip.clip.frames


class _Parts:
    """Finished videos that are not in the file yet: OUT.parts/HASH.npy."""

    def __init__(self, out: Path, network: FrameNetwork) -> None:
        self.out, self.network = out, network
        self.folder = out.with_name(f"{out.name}.parts")
        about = self.folder / "backbone.json"
        if about.exists():
            _require_same(self.folder, json.loads(about.read_text(encoding="utf-8")), network)
        else:
            write_json(about, asdict(network.config))

    def _path(self, name: str) -> Path:
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()}.npy"

    def __contains__(self, name: str) -> bool:
        return self._path(name).exists()

    def add(self, name: str, features: torch.Tensor) -> None:
        with replacing(self._path(name)) as temporary, temporary.open("wb") as file:
            np.save(file, features.numpy())

    def merge(self, names: list[str]) -> None:
        """Put the parts into the file, which is replaced as a whole, and delete them."""
        if names:
            with replacing(self.out) as temporary:
                if self.out.exists():
                    shutil.copyfile(self.out, temporary)
                with FeatureFile(temporary, writable=True, backbone=self.network.config) as store:
                    for name in names:
                        if name not in store:  # a kill came between the file and the parts
                            store.add(name, torch.from_numpy(np.load(self._path(name))))
        shutil.rmtree(self.folder)


def _require_same(where: Path, made_by: object, network: FrameNetwork) -> None:
    ours = json.loads(json.dumps(asdict(network.config)))
    if json.loads(json.dumps(made_by)) != ours:
        raise InputError(
            f"{where} holds features of another backbone: {json.dumps(made_by)}, not {json.dumps(ours)}. "
            "Write to another file."
        )
