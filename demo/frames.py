"""Labelled frames of the demo world, to pre-train a frame backbone on: what is where, in which colour.

This stands for the labelled pictures that a published backbone was trained on. Frames come from clips of the
training split only, so compositions held out for testing stay unseen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, sin

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from demo.motion import poses
from demo.render import HEIGHT, Image, render_frames
from demo.world import COLOURS, KINDS, SCENES, ClipSpec, sample_spec
from model.vision.backbones import Backbone

POSE_VALUES = 6  # x, y, size, sin(turn), cos(turn), facing
CLOSEUP_PIXELS = 48
FRAMES_PER_CLIP = 4  # drawn from each sampled clip: its background is made once


@dataclass(frozen=True)
class FrameLabels:
    """Labels of B frames. `visible` (B, kinds) is 1 where the kind is seen; the others count only there.

    colour (B, kinds) int64, pose (B, kinds, POSE_VALUES), scene (B,) int64.
    """

    visible: Tensor
    colour: Tensor
    pose: Tensor
    scene: Tensor


Label = tuple[np.ndarray, np.ndarray, np.ndarray, int]
"""(visible, colour, pose, scene) of one frame, as in `FrameLabels` without the batch."""


def label_frame(spec: ClipSpec, u: float) -> Label:
    """The labels of the frame at the fraction `u` of a clip."""
    visible = np.zeros(len(KINDS), np.float32)
    colour = np.zeros(len(KINDS), np.int64)
    pose = np.zeros((len(KINDS), POSE_VALUES), np.float32)
    for actor, p in zip([spec.subject, *([spec.object] if spec.object else [])], poses(spec, u), strict=True):
        k = KINDS.index(actor.kind)
        visible[k] = float(p.opacity > 0.3 and p.size > 0.03)
        colour[k] = tuple(COLOURS).index(actor.colour)
        pose[k] = (p.x, p.y, p.size * 4, sin(p.turn), cos(p.turn), -1.0 if p.mirrored else 1.0)
    return visible, colour, pose, SCENES.index(spec.scene)


class FrameStream(IterableDataset):
    """An endless stream of (images uint8 (B, 3, H, W), FrameLabels) batches.

    Whole frames come prepared as `backbone` wants them. `closeups` are square cut-outs around one actor at
    CLOSEUP_PIXELS: a third of the work per picture, and the actor is what fills it.
    """

    def __init__(self, backbone: Backbone, batch_size: int, seed: int, closeups: bool) -> None:
        self.prepare = backbone.prepare
        self.clips_per_batch = batch_size // FRAMES_PER_CLIP
        self.seed = seed
        self.closeups = closeups

    def __iter__(self) -> Iterator[tuple[Tensor, FrameLabels]]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            yield self._batch(rng)

    def _batch(self, rng: np.random.Generator) -> tuple[Tensor, FrameLabels]:
        images, labels = [], []
        for _ in range(self.clips_per_batch):
            spec = sample_spec(rng, "train")
            moments = rng.random(FRAMES_PER_CLIP)
            frames = render_frames(spec, moments)
            if self.closeups:
                cuts = [_closeup(frame, spec, u, rng) for frame, u in zip(frames, moments, strict=True)]
                images.append(torch.from_numpy(np.stack([image for image, _ in cuts])).permute(0, 3, 1, 2))
                labels += [label for _, label in cuts]
            else:
                images.append(self.prepare(np.stack([degrade(frame, rng) for frame in frames])))
                labels += [label_frame(spec, u) for u in moments]
        visible, colour, pose, scene = (np.stack(column) for column in zip(*labels, strict=True))
        return torch.cat(images), FrameLabels(*(torch.from_numpy(a) for a in (visible, colour, pose, scene)))


def _closeup(image: Image, spec: ClipSpec, u: float, rng: np.random.Generator) -> tuple[Image, Label]:
    """A square around one actor, of random width and slightly off centre, with labels in its own coordinates."""
    placed = poses(spec, u)
    pose = placed[rng.integers(len(placed))]
    side = max(2 * pose.size, 0.1) * rng.uniform(1.1, 2.2)
    x, y = (centre - side / 2 + side * rng.uniform(-0.2, 0.2) for centre in (pose.x, pose.y))
    pixels = HEIGHT / CLOSEUP_PIXELS * side
    matrix = np.array([[pixels, 0, x * HEIGHT], [0, pixels, y * HEIGHT]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (CLOSEUP_PIXELS, CLOSEUP_PIXELS)
    cut = np.asarray(cv2.warpAffine(image, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT), np.uint8)
    visible, colour, values, scene = label_frame(spec, u)
    values[:, 0] = (values[:, 0] - x) / side
    values[:, 1] = (values[:, 1] - y) / side
    values[:, 2] /= side * 2
    visible *= ((values[:, :2] > 0) & (values[:, :2] < 1)).all(axis=1)
    return degrade(cut, rng), (visible, colour, values, scene)


def degrade(image: Image, rng: np.random.Generator) -> Image:
    """What codecs and cameras do to a picture, mildly: compression and brightness."""
    quality = int(rng.integers(45, 98))
    _, coded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))[..., ::-1]
    brighter = decoded * rng.uniform(0.9, 1.1) + rng.uniform(-8, 8)
    return np.clip(brighter, 0, 255).astype(np.uint8)
