"""The ordered pairs of the relation level, fitted after training by themselves.

Trained with the rest, they learn little: the rest of the model tells the training clips apart before they do. Alone
they have to tell who does what, and from exchanged roles they learn who does it to whom (docs/results.md).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.mcsan.losses import info_nce
from model.mcsan.network import MCSAN
from model.mcsan.ordered_pairs import TextPairs, VideoPairs
from model.mcsan.text_features import collate
from model.mcsan.text_tower import span_max
from model.training.data.batches import Pairs
from model.training.data.dataset import VideoText

EPOCHS, BATCH, RATE, DECAY = 10, 128, 3e-3, 0.05
ROLES_WEIGHT = 3.0
"""Of exchanged roles; InfoNCE weighs 1."""

MIN_CLIPS, MIN_SHARE = 5, 0.6
"""Of a noun's clips: how many it must have, and in what share of them its kind must be seen."""

SCALE = 0.8
"""Length of the pairs, in clips and in captions alike, where the rest of the level has length 1: chosen on the
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
    meant = noun_kinds(video, train)
    steps = EPOCHS * -(-len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    with torch.inference_mode(False), torch.enable_grad():
        for _ in range(EPOCHS):
            for picked in torch.randperm(len(rows)).split(BATCH):
                loss = _loss(video, text, rows, meant, picked.tolist(), log_temperature.exp().clamp(0.01, 1.0))
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimiser.step()
                schedule.step()
    for side in (video, text):
        side.eval().requires_grad_(False)
        side.scale.fill_(SCALE)


@torch.inference_mode()
def noun_kinds(video: VideoPairs, train: VideoText) -> dict[str, int]:
    """Which kind each noun means: the one that is seen in most of the clips with such a caption, or none of them.

    Without it a noun may write into the place of the other noun's kind, which its word vector knows as well.
    """
    seen = video.seen_kinds(train.features, train.frame_mask)
    clips: dict[str, set[int]] = {}
    for clip, text in zip(train.owner.tolist(), train.texts, strict=True):
        for noun in text.parse.nouns:
            clips.setdefault(noun, set()).add(clip)
    found = {}
    for noun, own in clips.items():
        if len(own) >= MIN_CLIPS:
            share, kind = seen[list(own)].mean(0).max(0)
            found[noun] = int(kind) if share > MIN_SHARE else seen.shape[1]
    return found


def _loss(
    video: VideoPairs, text: TextPairs, rows: Pairs, meant: Mapping[str, int], picked: list[int], temperature: Tensor
) -> Tensor:
    """Captions against clips, captions against their exchanged roles, and nouns against the kinds that they mean."""
    batch = rows.collate(picked)
    nodes = span_max(batch.text.words, batch.text)
    clips, told = video(batch.features, batch.frame_mask), text(nodes, batch.text.role, batch.text.edges)
    there = told.any(1)
    loss = info_nce(clips[there] @ told[there].T, batch.negatives[there][:, there], temperature)
    nouns = [
        (row, place, meant[node.lemma])
        for row, caption in enumerate(picked)
        for place, node in enumerate(rows.data.texts[caption].parse.nodes)
        if node.kind == "noun" and node.lemma in meant
    ]
    if nouns:
        row, place, kind = torch.tensor(nouns).T
        loss = loss + fn.cross_entropy(text.kind(nodes[row, place]), kind)
    changed = rows.data.changed
    made = changed.made if changed else {}
    swapped = [(i, n) for i, row in enumerate(picked) for kind, n in made.get(row, ()) if kind == "roles"]
    if swapped and changed:
        own = [i for i, _ in swapped]
        other = collate([changed.texts[n] for _, n in swapped])
        wrong = text(span_max(other.words, other), other.role, other.edges)
        lead = (clips[own] * (told[own] - wrong)).sum(1)
        loss = loss + ROLES_WEIGHT * fn.softplus(-lead / temperature).mean()
    return loss
