"""One training run: from data in memory to the best model by validation SumR."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from model.config import Preset
from model.evaluation.metrics import Retrieval
from model.mcsan import CONCEPT_LEVELS, MCSAN
from model.training.dataset import VideoText, Vocabularies, build_vocabularies
from model.training.module import MCSANModule, Pairs
from model.words import InitialWords


def fit(
    preset: Preset,
    train: VideoText,
    validation: VideoText,
    run_folder: Path,
    seed: int,
    progress: bool = True,
    words: InitialWords | None = None,
) -> tuple[MCSAN, Vocabularies, list[dict[str, Retrieval]]]:
    """Train one model; the one with the best validation SumR comes back, in eval mode on the CPU.

    `run_folder` receives the metrics of every step as CSV and the best state. The same seed gives the same model on
    one machine. `words` are what a model with a word embedding of its own starts from.
    """
    L.seed_everything(seed, verbose=False)
    # Lightning's start-up lines repeat what the caller has said.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    config = preset.train
    sizes = (config.entity_vocabulary, config.action_vocabulary, config.relation_vocabulary)
    vocabularies = build_vocabularies(train.texts, dict(zip(CONCEPT_LEVELS, sizes, strict=True)))
    concepts = {level: max(1, len(known)) for level, known in vocabularies.items()}
    model = MCSAN(preset.model, concepts, words.vocabulary if words else ())
    if words and model.text.embedding:
        words.copy_to(model.text.embedding)
    frames = train.features[train.frame_mask]
    model.video.set_statistics(frames.mean(0), frames.std(0))
    module = MCSANModule(model, preset, validation)
    pairs = Pairs(train, vocabularies)
    loader = DataLoader(
        pairs,
        config.batch_size,
        shuffle=True,
        drop_last=len(pairs) > config.batch_size,
        collate_fn=pairs.collate,
    )
    best = ModelCheckpoint(run_folder, filename="best", monitor="sum_r", mode="max", enable_version_counter=False)
    trainer = L.Trainer(
        max_epochs=config.epochs,
        default_root_dir=run_folder,
        logger=CSVLogger(run_folder, name="", version="log"),
        callbacks=[best, *([RichProgressBar()] if progress else [])],
        enable_progress_bar=progress,
        enable_model_summary=False,
        gradient_clip_val=config.clip_norm or None,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
    )
    with warnings.catch_warnings():
        # Lightning's advice on workers, folders and intervals is for other set-ups than data in memory.
        warnings.filterwarnings("ignore", module=r"lightning\b")
        trainer.fit(module, loader)
    state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)["state_dict"]
    module.load_state_dict(state)
    return module.model.cpu().eval(), vocabularies, module.history
