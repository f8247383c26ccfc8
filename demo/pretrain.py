"""Pre-trains a frame backbone on labelled frames of the demo world, from random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as fn
from torch.utils.data import DataLoader

from demo.frames import POSE_VALUES, FrameLabels, FrameStream
from demo.world import COLOURS, KINDS, SCENES
from model.mcsan.presets import preset
from model.vision.backbones import Backbone

OnStep = Callable[[str, int, int, dict[str, float]], None]
"""Receives (phase, step, steps of the phase, loss per task) after every step."""


class FrameHead(nn.Module):
    """Linear read-outs of a frame's features; thrown away after pre-training."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.visible = nn.Linear(dim, len(KINDS))
        self.colour = nn.Linear(dim, len(KINDS) * len(COLOURS))
        self.pose = nn.Linear(dim, len(KINDS) * POSE_VALUES)
        self.scene = nn.Linear(dim, len(SCENES))

    def loss(self, features: Tensor, labels: FrameLabels) -> dict[str, Tensor]:
        """One mean loss per task; colour and pose count where the kind is visible."""
        seen = labels.visible.bool()
        colour = self.colour(features).view(len(features), len(KINDS), len(COLOURS))
        pose = self.pose(features).view(len(features), len(KINDS), POSE_VALUES)
        visible = self.visible(features)
        some = seen.any(1)
        share = labels.visible / labels.visible.sum(1, keepdim=True).clamp(min=1)
        return {
            # The softmax starts to learn what a thing is long before the 24 rare yes-or-no questions do.
            "kind": fn.cross_entropy(visible[some], share[some]),
            "visible": 10 * fn.binary_cross_entropy_with_logits(visible, labels.visible),
            "colour": 0.5 * fn.cross_entropy(colour[seen], labels.colour[seen]),
            "pose": fn.mse_loss(pose[seen], labels.pose[seen]),
            "scene": 0.3 * fn.cross_entropy(self.scene(features), labels.scene),
        }


@dataclass(frozen=True)
class Phase:
    """Close-ups teach what things look like at a third of the cost; whole frames teach where they are."""

    name: str
    closeups: bool
    steps: int
    batch_size: int
    learning_rate: float


PHASES = (Phase("close-ups", True, 2000, 128, 3e-3), Phase("whole frames", False, 1400, 64, 2e-3))


def pretrain_backbone(
    seed: int,
    phases: tuple[Phase, ...] = PHASES,
    on_step: OnStep | None = None,
) -> Backbone:
    """A backbone whose features tell what is where in a frame of the demo world; in eval mode.

    The same seed gives the same weights on one machine. See `OnStep`.
    """
    torch.manual_seed(seed)
    backbone = Backbone(preset("demo").backbone).train()
    head = FrameHead(backbone.feature_dim)
    for phase in phases:
        # A fork of a process that has threads, of OpenVINO or gRPC for one, may hang or crash.
        stream = DataLoader(
            FrameStream(backbone, phase.batch_size, seed, phase.closeups),
            batch_size=None,
            num_workers=1,
            multiprocessing_context="spawn",
        )
        _run_phase(phase, backbone, head, iter(stream), on_step)
    return backbone.eval()


def _run_phase(
    phase: Phase,
    backbone: Backbone,
    head: FrameHead,
    stream: Iterator[tuple[Tensor, FrameLabels]],
    on_step: OnStep | None,
) -> None:
    parameters = [*backbone.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=phase.learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, phase.learning_rate, total_steps=phase.steps, pct_start=0.1
    )
    for step in range(1, phase.steps + 1):
        images, labels = next(stream)
        losses = head.loss(backbone(images), labels)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        schedule.step()
        if on_step:
            on_step(phase.name, step, phase.steps, {name: loss.item() for name, loss in losses.items()})
