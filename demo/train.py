"""Trains the bundled checkpoint: `quartet train --preset demo`. From random weights, from a seed, on the CPU.

1. the frame backbone, on labelled frames of the training split      (demo/pretrain.py)
2. features of training and validation clips, from their sampled frames
3. readings of what is where in a frame, from labelled frames       (demo/readings.py)
4. the towers, on captions alone                                     (model/training/)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from demo.captions import captions
from demo.frames import degrade
from demo.pretrain import pretrain_backbone
from demo.readings import fit_readings
from demo.render import Image, render_frames
from demo.world import KINDS, ClipSpec, Split, sample_split
from model.evaluation.metrics import Retrieval
from model.language.sentence_encoder import SentenceEncoder
from model.language.spacy_parser import SpacyParser
from model.mcsan.checkpoint import Checkpoint, save_checkpoint
from model.mcsan.presets import preset
from model.mcsan.text_features import TextFeaturizer
from model.training.data.dataset import VideoText
from model.training.loop.feature_training import with_changes
from model.training.loop.single_run import fit
from model.vision.backbones import Backbone

TRAIN_CLIPS, VALIDATION_CLIPS = 5000, 500
NOTE = "Trained from scratch on Quartet's generated cartoon world. It knows nothing else."

Report = Callable[[str, int, int, str], None]
"""Receives (what is being done, done, total, details) again and again."""


class SampledFrames(Dataset):
    """Frames of clips at the moments an indexer would sample, rendered without the detour over files."""

    def __init__(self, specs: list[ClipSpec], frames: int, seed: int) -> None:
        self.specs, self.frames, self.seed = specs, frames, seed

    def __len__(self) -> int:
        return len(self.specs)

    def __getitem__(self, index: int) -> Image:
        rng = np.random.default_rng([self.seed, index])
        moments = [(i + 0.5) / self.frames for i in range(self.frames)]
        return np.stack([degrade(frame, rng) for frame in render_frames(self.specs[index], moments)])


def clip_features(specs: list[ClipSpec], backbone: Backbone, frames: int, seed: int) -> Iterator[Tensor]:
    """Frame features (frames, D_v) of each clip, in order."""
    # Spawned: see `demo.pretrain`.
    loader = DataLoader(
        SampledFrames(specs, frames, seed),
        batch_size=8,
        num_workers=1,
        collate_fn=list,
        prefetch_factor=4,
        multiprocessing_context="spawn",
    )
    for batch in loader:
        yield from backbone.features(batch)


def train_demo(
    folder: Path, run_folder: Path, seed: int, report: Report, progress: bool = True
) -> list[dict[str, Retrieval]]:
    """Train the demo checkpoint into `folder`; returns the validation metrics of every epoch."""
    config = preset("demo")
    config = replace(config, model=replace(config.model, pair_kinds=len(KINDS)))
    with _one_thread():
        backbone = pretrain_backbone(
            seed,
            on_step=lambda name, step, total, losses: report(f"backbone, {name}", step, total, _details(losses)),
        )
    featurizer = TextFeaturizer(SpacyParser(), SentenceEncoder())
    splits: dict[Split, VideoText] = {}
    sizes: dict[Split, int] = {"train": TRAIN_CLIPS, "val": VALIDATION_CLIPS}
    for split, count in sizes.items():
        specs = sample_split(split, count, seed)
        features: list[Tensor] = []
        with _one_thread():
            for row in clip_features(specs, backbone, config.model.frames, seed):
                features.append(row)
                report(f"frame features, {split}", len(features), count, "")
        texts = [captions(spec) for spec in specs]
        report(f"sentences, {split}", 0, 1, "")
        encoded = iter(featurizer([caption for own in texts for caption in own]))
        splits[split] = VideoText.build(features, [[next(encoded) for _ in own] for own in texts])
        report(f"sentences, {split}", 1, 1, "")
        if split == "train":
            readings = fit_readings(splits[split].features, specs)
            report("sentences, one thing changed", 0, 1, "")
            splits[split] = with_changes(splits[split], featurizer)
            report("sentences, one thing changed", 1, 1, "")
    model, vocabularies, history = fit(
        config, splits["train"], splits["val"], run_folder, seed, progress, readings=readings
    )
    checkpoint = Checkpoint(
        "quartet-demo", NOTE, model, backbone, vocabularies, featurizer.parser.name, featurizer.sentences.name
    )
    save_checkpoint(folder, checkpoint)
    return history


@contextmanager
def _one_thread() -> Iterator[None]:
    """While a loader renders frames in a process of its own: on two cores, a second thread would only wait for it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _details(losses: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.2f}" for name, value in losses.items())
