"""Whether frame features of the demo world can tell who does something from whom it is done to.

    python -m benchmarks.quality.roles runs/roles --split val --clips 500

Two read-outs that know what the levels do not. Ridge regression from the bundled backbone's features of a frame to
where each kind is in it: its place, size and direction. Then, for clips of two actors, a small network that is given
both actors' kinds and the verb, follows both through the clip by these read-outs, and says which of them acts. It is
trained on clips of another split; the pairs of kinds of the test split are new to it. The same network on the true
places is what the world allows at most. 50% is guessing. Features are kept in the folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from demo.readings import places, ridge
from demo.train import SampledFrames
from demo.world import KINDS, RELATIONS, ClipSpec, Split, sample_split
from model.mcsan.checkpoint import load_checkpoint
from model.registry import MODELS

FRAMES = 16
VALUES = ("x", "y", "size", "sine of its turn", "cosine of its turn", "direction")
WAVES = 6
"""Cosines of time that a track is described by."""

PENALTIES = (3.0, 30.0, 300.0)
"""Of the regression: the one that reads places best, each half of the clips by the other half, is taken."""

Floats = npt.NDArray[np.float32]


def features(folder: Path, split: Split, count: int, seed: int) -> tuple[Floats, list[ClipSpec]]:
    """Features (clips, FRAMES, D_v) of generated clips, and what they show."""
    specs = sample_split(split, count, seed)
    path = folder / f"{split}-{count}-{seed}.npy"
    if not path.exists():
        backbone = load_checkpoint(MODELS["demo"]).backbone
        assert backbone is not None
        backbone.freeze()
        frames = SampledFrames(specs, FRAMES, seed)
        np.save(path, torch.stack([backbone.features([frames[i]])[0] for i in range(count)]).numpy())
    return np.load(path), specs


@dataclass(frozen=True)
class ReadOuts:
    """By kind a ridge regression from the features of the frames that show it to VALUES.

    weight (kinds, D_v, VALUES)   centre (kinds, VALUES)
    """

    weight: Floats
    centre: Floats

    @classmethod
    def of(cls, rows: Floats, seen: Floats, where: Floats, penalty: float) -> Self:
        """Of features (clips, FRAMES, D_v), and what `places` says of them."""
        weights, centres = [], []
        for kind in range(len(KINDS)):
            there = seen[:, :, kind] > 0
            weight, centre = ridge(rows[there], where[:, :, kind][there], penalty)
            weights.append(weight)
            centres.append(centre)
        return cls(np.array(weights), np.array(centres))

    def __call__(self, rows: Floats) -> Floats:
        """(clips, FRAMES, kinds, VALUES)"""
        return np.asarray(np.einsum("ntd,kdv->ntkv", rows, self.weight, optimize=True) + self.centre, np.float32)


def crossed(rows: Floats, seen: Floats, where: Floats, penalty: float) -> Floats:
    """Read-outs of each half of the clips by the regression of the other half."""
    found = np.empty_like(where)
    for own in (slice(0, None, 2), slice(1, None, 2)):
        other = slice(1 - (own.start or 0), None, 2)
        found[own] = ReadOuts.of(rows[other], seen[other], where[other], penalty)(rows[own])
    return found


def told(found: Floats, seen: Floats, where: Floats) -> Floats:
    """Of each value the share of its variance that is read right, where the kind is seen."""
    there = seen > 0
    return np.asarray(1 - ((found - where)[there] ** 2).mean(0) / where[there].var(0))


class Pairs:
    """Clips of two actors: the tracks (n, FRAMES, VALUES) of who acts and of the other, and the verb (n,)."""

    def __init__(self, specs: Sequence[ClipSpec], where: Floats, met: Set[str]) -> None:
        """where (clips, FRAMES, kinds, VALUES); met: kinds that have a read-out, others are left out"""
        two = [
            (i, spec, spec.object)
            for i, spec in enumerate(specs)
            if spec.object and {spec.subject.kind, spec.object.kind} <= met
        ]
        self.who = self._waves([where[i, :, KINDS.index(spec.subject.kind)] for i, spec, _ in two])
        self.whom = self._waves([where[i, :, KINDS.index(other.kind)] for i, _, other in two])
        self.verb = torch.eye(len(RELATIONS))[[RELATIONS.index(spec.verb) for _, spec, _ in two]]

    @staticmethod
    def _waves(tracks: list[Floats]) -> Tensor:
        times = np.pi * (np.arange(FRAMES) + 0.5) / FRAMES
        waves = np.cos(times[:, None] * np.arange(WAVES)) * 3 / FRAMES
        return torch.from_numpy(np.einsum("ntv,tw->nvw", np.stack(tracks), waves).astype(np.float32)).flatten(1)

    def lead(self, network: nn.Module, rows: Tensor) -> Tensor:
        """How much likelier the network takes the right one of both for who acts: (rows,)."""
        a, b, verb = self.who[rows], self.whom[rows], self.verb[rows]
        right, wrong = (network(torch.cat([x, y, x - y, verb], dim=1)) for x, y in ((a, b), (b, a)))
        return (right - wrong).squeeze(1)


def train(pairs: Pairs, seed: int, epochs: int = 60, batch: int = 64) -> nn.Module:
    torch.manual_seed(seed)
    width = 3 * pairs.who.shape[1] + len(RELATIONS)
    network = nn.Sequential(
        nn.Linear(width, 128), nn.GELU(), nn.Dropout(0.3), nn.Linear(128, 64), nn.GELU(), nn.Linear(64, 1)
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    steps = epochs * -(-len(pairs.verb) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(pairs.verb)).split(batch):
            optimizer.zero_grad()
            fn.softplus(-pairs.lead(network, rows)).mean().backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--split", choices=("train", "val"), default="train", help="that the read-outs learn from")
    arguments.add_argument("--clips", type=int, default=1000, help="of this split")
    arguments.add_argument("--test", type=int, default=500)
    arguments.add_argument("--seeds", type=int, default=3, help="of the network")
    options = arguments.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    rows, specs = features(options.folder, options.split, options.clips, 0)
    others, unseen = features(options.folder, "test", options.test, 2026)
    mean, std = rows.mean((0, 1)), rows.std((0, 1))
    x, z = ((f - mean) / std for f in (rows, others))
    (seen, where), (shown, true) = places(specs, FRAMES), places(unseen, FRAMES)
    met = {kind for i, kind in enumerate(KINDS) if seen[:, :, i].any()}
    unmet = [kind not in met for kind in KINDS]
    shown[:, :, unmet] = 0
    tried = {penalty: crossed(x, seen, where, penalty) for penalty in PENALTIES}
    penalty = max(tried, key=lambda one: told(tried[one], seen, where)[:2].sum())
    read, found = tried[penalty], ReadOuts.of(x, seen, where, penalty)(z)
    print(f"Share of the variance that a frame tells, {options.test} test clips, penalty {penalty:g}:")
    print(", ".join(f"{name} {share:.2f}" for name, share in zip(VALUES, told(found, shown, true), strict=True)))
    print(f"Kinds without a clip to learn from: {', '.join(sorted({*KINDS} - met)) or 'none'}")
    print("\n| actors by | who acts, % | of | by relation |\n|---|---|---|---|")
    for name, learned, asked in (("true places", where, true), ("frame features", read, found)):
        known, new = Pairs(specs, learned, met), Pairs(unseen, asked, met)
        every = torch.arange(len(new.verb))
        runs = [new.lead(train(known, seed), every).detach() > 0 for seed in range(options.seeds)]
        right = 100 * torch.stack(runs).float()
        by = [f"{verb} {right[:, new.verb[:, i] > 0].mean():.0f}" for i, verb in enumerate(RELATIONS)]
        shares = right.mean(1)
        print(f"| {name} | {shares.mean():.1f} ± {shares.std():.1f} | {len(every)} | {', '.join(by)} |")


if __name__ == "__main__":
    main()
