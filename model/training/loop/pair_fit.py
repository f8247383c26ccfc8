"""The ordered pairs of the relation level, fitted after training by themselves.

Trained with the rest, they learn little: the rest of the model tells the training clips apart before they do. Alone
they have to tell who does what, and from exchanged roles they learn who does it to whom (docs/results.md).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.mcsan.losses import info_nce
from model.mcsan.network import MCSAN
from model.mcsan.ordered_pairs import TextPairs, VideoPairs
from model.mcsan.text_features import collate
from model.mcsan.text_tower import TextTensors, span_max
from model.training.data.batches import Pairs
from model.training.data.dataset import VideoText

EPOCHS, BATCH, RATE, DECAY = 10, 128, 3e-3, 0.05
ROLES_WEIGHT = 3.0
"""Of exchanged roles, beside InfoNCE."""

SCALE = 0.8
"""Length of the pairs beside the rest of the level, whose length is 1, in clips and in captions alike: chosen on the
validation clips of the demo."""


def fit_pairs(model: MCSAN, train: VideoText, seed: int) -> None:
    """Train the pairs of `model` on captions and, where `train.changed` has them, captions with exchanged roles."""
    video, text = model.video.pairs, model.text.pairs
    assert video is not None and text is not None, "a model without pairs has nothing to fit"
    torch.manual_seed(seed)
    for side in (video, text):
        side.train().requires_grad_(True)
        side.scale.fill_(1.0)
    video.read.requires_grad_(False)
    log_temperature = nn.Parameter(torch.tensor(0.07).log())
    parameters = [*(p for side in (video, text) for p in side.parameters() if p.requires_grad), log_temperature]
    optimiser = torch.optim.AdamW(parameters, RATE, weight_decay=DECAY)
    rows = Pairs(train, {level: [] for level in model.concept_levels})
    steps = EPOCHS * -(-len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    with torch.inference_mode(False), torch.enable_grad():
        for _ in range(EPOCHS):
            for picked in torch.randperm(len(rows)).split(BATCH):
                loss = _loss(video, text, rows, picked.tolist(), log_temperature.exp().clamp(0.01, 1.0))
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimiser.step()
                schedule.step()
    for side in (video, text):
        side.eval().requires_grad_(False)
        side.scale.fill_(SCALE)


def _loss(video: VideoPairs, text: TextPairs, rows: Pairs, picked: list[int], temperature: Tensor) -> Tensor:
    batch = rows.collate(picked)
    clips, told = video(batch.features, batch.frame_mask), _pairs(text, batch.text)
    there = told.any(1)
    negatives = batch.negatives[there][:, there]
    loss = info_nce(clips[there] @ told[there].T, negatives, temperature)
    made = rows.data.changed.made if rows.data.changed else {}
    swapped = [(i, n) for i, row in enumerate(picked) for kind, n in made.get(row, ()) if kind == "roles"]
    if swapped and rows.data.changed:
        own = [i for i, _ in swapped]
        other = _pairs(text, collate([rows.data.changed.texts[n] for _, n in swapped]))
        lead = (clips[own] * (told[own] - other)).sum(1)
        loss = loss + ROLES_WEIGHT * fn.softplus(-lead / temperature).mean()
    return loss


def _pairs(tower: TextPairs, text: TextTensors) -> Tensor:
    found: Tensor = tower(span_max(text.words, text), text.role, text.edges)
    return found
