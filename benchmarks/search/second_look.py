"""The second look (`indexer.search.second_look`): what it costs, and what it finds in a made world.

    python -m benchmarks.search.second_look --clips 5000 --questions 200 --seed 0

The world: a clip has a scene in all of its twelve frames and two things, each in two neighbouring frames. Scenes and
things are directions of a space of `--latent` dimensions within the 512 of a model. Frames and texts of them are off by
noise, and all texts differ from all pictures by a common direction. The phrase bank of two-tower models (`BestFrames`)
knows other things of the same space. A question is "a thing in a scene"; right are the clips with that thing in that
scene. Precision is the share of right ones among as many first hits as there are right ones. Real models and videos
are not like this: the table shows what the bank loses where single frames matter, and what a second look gets back.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from indexer.search.result import Hit
from indexer.search.second_look import look_again
from indexer.search.top_k import search
from indexer.search.vectors.gallery import Change, Gallery, open_gallery, write_gallery
from indexer.search.vectors.row_source import from_arrays
from model.levels import FRAMES, FloatArray, FrameSpec, Vectors
from model.two_tower.encoder import BEST_FRAMES, WINDOW, level_specs
from model.two_tower.encoder import FRAMES as PER_CLIP
from model.two_tower.phrase_bank import ACTIONS, THINGS, BestFrames

DIM = 512
CANDIDATES = 200
SPECS = level_specs(DIM, 0.25)
KEPT = FrameSpec(PER_CLIP, DIM, BEST_FRAMES, {"entity": 1, "action": WINDOW, "relation": WINDOW})

_SCENES, _THINGS = 40, 300

_STRENGTH, _TEXT_NOISE, _FRAME_NOISE, _GAP = 0.5, 2.5, 1.5, 0.7
"""Of a thing, of noise and of what tells texts from pictures; a scene has 1."""

_BLOCK = 2000


def unit(rows: np.ndarray) -> FloatArray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True)
class Question:
    """Query vectors, phrases by level, and the ids of the clips that are right."""

    query: Vectors
    phrases: dict[str, FloatArray]
    right: frozenset[int]


class World:
    """See the module."""

    def __init__(self, clips: int, latent: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        basis = np.linalg.qr(self.rng.standard_normal((DIM, latent)))[0].T
        self.scenes = unit(self.rng.standard_normal((_SCENES, latent)) @ basis)
        self.things = unit(self.rng.standard_normal((_THINGS + len(THINGS) + len(ACTIONS), latent)) @ basis)
        self.gap = unit(self.rng.standard_normal(DIM))
        self.scene_of = self.rng.integers(_SCENES, size=clips)
        self.things_of = self.rng.integers(_THINGS, size=(clips, 2))
        self.bank = BestFrames.of(torch.from_numpy(self.texts(self.things[_THINGS : _THINGS + len(THINGS)])))
        self.actions = BestFrames.of(torch.from_numpy(self.texts(self.things[_THINGS + len(THINGS) :])))

    def texts(self, meant: np.ndarray) -> FloatArray:
        """Texts (n, d) of what is meant."""
        return unit(unit(meant) + _TEXT_NOISE * unit(self.rng.standard_normal(meant.shape)) + _GAP * self.gap)

    def frames(self, clips: np.ndarray) -> FloatArray:
        """(n, T, d)"""
        shown = np.repeat(self.scenes[self.scene_of[clips]][:, None], PER_CLIP, axis=1)
        for thing in self.things_of[clips].T:
            first = self.rng.integers(PER_CLIP - 1, size=len(clips))
            for later in (0, 1):
                shown[np.arange(len(clips)), first + later] += _STRENGTH * self.things[thing]
        return unit(shown + _FRAME_NOISE * unit(self.rng.standard_normal(shown.shape)) - _GAP * self.gap)

    def gallery(self, folder: Path) -> Gallery:
        """What an index holds of the clips: as `ClipEncoder` makes it of their frames."""
        vectors: dict[str, list[np.ndarray]] = {name: [] for name in (*(spec.name for spec in SPECS), FRAMES)}
        for start in range(0, len(self.scene_of), _BLOCK):
            frames = self.frames(np.arange(start, min(start + _BLOCK, len(self.scene_of))))
            windows = unit(np.stack([frames[:, t : t + WINDOW].mean(axis=1) for t in range(PER_CLIP - WINDOW + 1)], 1))
            whole = unit(frames.mean(axis=1))
            found = {"global": whole, "relation": whole, "entity": self._best(self.bank, frames)}
            found["action"] = self._best(self.actions, windows)
            found[FRAMES] = frames.astype(np.float16).reshape(len(frames), -1)
            for name, rows in found.items():
                vectors[name].append(rows)
        rows = np.arange(len(self.scene_of)), {name: np.concatenate(own) for name, own in vectors.items()}
        return open_gallery(
            folder, SPECS, write_gallery(folder, SPECS, Change([from_arrays(*rows)]), frames=KEPT), frames=KEPT
        )

    @staticmethod
    def _best(bank: BestFrames, parts: FloatArray) -> FloatArray:
        return unit(np.stack([bank(torch.from_numpy(own), BEST_FRAMES).numpy() for own in parts]))

    def questions(self, count: int) -> Iterator[Question]:
        """Questions about clips that there are."""
        for clip in self.rng.choice(len(self.scene_of), count, replace=False):
            scene, thing = self.scene_of[clip], self.things_of[clip, 0]
            right = (self.scene_of == scene) & (self.things_of == thing).any(axis=1)
            sentence = self.texts((self.scenes[scene] + self.things[thing])[None])
            phrases = self.texts(np.stack([self.things[thing], self.scenes[scene]]))
            zeros = np.zeros((1, DIM), np.float32)
            # The head of the global level is folded into the query: s = 10.
            query = {"global": 10 * sentence, "entity": unit(phrases.mean(axis=0))[None], "action": zeros}
            yield Question(
                {**query, "relation": sentence},
                {"entity": phrases, "relation": sentence},
                frozenset(np.flatnonzero(right).tolist()),
            )


def precision(hits: list[Hit], right: frozenset[int]) -> float:
    return sum(hit.id in right for hit in hits[: len(right)]) / len(right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=5_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--latent", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    world = World(given.clips, given.latent, given.seed)
    weights: dict[str, dict[str, float]] = {
        "all levels": {},
        "entity alone": dict.fromkeys(("global", "relation"), 0.0),
    }
    with tempfile.TemporaryDirectory() as folder:
        gallery = world.gallery(Path(folder) / "clips")
        questions = list(world.questions(given.questions))
        rows, spent = [], []
        for name, own in weights.items():
            found: list[tuple[float, ...]] = []
            for question in questions:
                hits = search(gallery, SPECS, question.query, CANDIDATES, own).hits
                began = time.process_time()
                again = look_again(gallery, SPECS, question.phrases, hits, max(10, len(question.right)))
                spent.append(1e3 * (time.process_time() - began))
                there = sum(hit.id in question.right for hit in hits) / len(question.right)
                found.append((precision(hits, question.right), precision(again, question.right), there))
            means = np.mean(found, axis=0)
            error = np.std(np.subtract(*np.array(found).T[[1, 0]])) / len(found) ** 0.5
            rows.append([name, *(f"{mean:.3f}" for mean in means), f"{means[1] - means[0]:+.3f} ± {1.96 * error:.3f}"])
        columns = ["", "first", "second look", f"right ones among {CANDIDATES}", "gain, 95%"]
        for line in (columns, ["---"] * len(columns), *rows):
            print(f"| {' | '.join(line)} |")
        size = gallery.segments[0].frames
        assert size is not None
        print(f"{np.median(spent):.2f} ms of CPU for {CANDIDATES} clips (median; 90%: {np.quantile(spent, 0.9):.2f})")
        print(f"{size.nbytes / len(size) / 1024:.0f} KB of frames a clip")


if __name__ == "__main__":
    main()
