"""What questions of several parts find on the demo world: when nothing fits, reactions to hits, and order.

    quartet demo --render-only --clips 500 --folder runs/eval        # seed 2026
    quartet index runs/eval/videos --library runs/eval/library --model demo
    python -m benchmarks.quality.questions runs/eval

The library is that of docs/results.md: the test split, each clip next to its hard negatives (the same things doing
something else, roles swapped, another colour). Every caption of the split can be a question.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from demo.captions import PLACES
from demo.world import ClipSpec, sample_split
from indexer.search.filters import ClipTable
from indexer.search.likelihood import Likelihood, fit, fused
from indexer.search.moments.best_moments import best_moments
from indexer.search.moments.timeline import Timeline
from indexer.search.parts import Part, fold
from indexer.search.question import make_question
from indexer.search.top_k import search
from indexer.search.vectors.gallery import Gallery
from indexer.store.library import Library
from model.levels import LevelSpec, Vectors, resolve_weights
from model.registry import load_encoder
from service.encoders.shared_encoder import SharedEncoder
from service.search.explanation.likelihoods import SENTENCES
from service.search.ranking.part_vectors import CLIP_SHARE, length_of
from service.search.requests import reactions
from tests.indexer.engines import make_gallery

ROW = 4
"""Hits of the first row of the page on a screen of 1280 pixels."""

SEED = 2026


@dataclass(frozen=True)
class World:
    gallery: Gallery
    levels: tuple[LevelSpec, ...]
    clips: list[ClipSpec]
    vectors: Vectors
    captions: list[list[str]]
    encoder: SharedEncoder

    @classmethod
    def open(cls, folder: Path) -> World:
        library = Library.open(folder / "library")
        gallery = library.current().clips
        known = library.catalog.clips(gallery.ids.tolist())
        titles = [known[item].title for item in gallery.ids.tolist()]
        lines = [json.loads(line) for line in (folder / "captions.jsonl").read_text(encoding="utf-8").splitlines()]
        said = {line["video"].removesuffix(".mp4"): line["captions"] for line in lines}
        specs = sample_split("test", len(lines), SEED)
        encoder = SharedEncoder(load_encoder("demo"))
        return cls(
            gallery,
            encoder.spec.levels,
            [specs[int(title.rpartition("-")[2])] for title in titles],
            gallery.vectors(gallery.ids),
            [said[title] for title in titles],
            encoder,
        )

    def questions(self, texts: list[str]) -> Vectors:
        return self.encoder.encode_queries(texts).vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    world = World.open(parser.parse_args().folder)
    before_or_after(world)
    nothing_fits(world)
    with_reactions(world)
    in_order(world)


def before_or_after(world: World) -> None:
    """Parts added before the activation of a level, as one query vector, or after it, as scores.

    "A dog" without "a red dog" wants dogs of other colours. A clip and "at night" wants what it shows, at night.
    """
    weights = resolve_weights(world.levels, {})
    kind = np.array([spec.subject.kind for spec in world.clips])
    colour = np.array([spec.subject.colour for spec in world.clips])
    scene = np.array([spec.scene for spec in world.clips])

    def score(parts: list[Part], before: bool) -> np.ndarray:
        if before:
            return fused(world.levels, weights, fold(world.levels, parts), world.vectors)[0]
        return sum(part.weight * fused(world.levels, weights, part.rows, world.vectors)[0] for part in parts)

    kinds, colours = ("ball", "dog", "car", "cat", "bird"), sorted(set(colour))
    plain = _each(world.questions([f"a {one}" for one in kinds]))
    coloured = _each(world.questions([f"a {hue} {one}" for one in kinds for hue in colours]))
    places = {one: ways[0] for one, ways in PLACES.items()}
    asked = dict(zip(places, _each(world.questions(list(places.values()))), strict=True))
    print("\nParts before or after the activation: mean average precision")
    for before in (True, False):
        for weight in (0.0, 0.25, 0.5, 1.0):
            found = []
            for i, one in enumerate(kinds):
                for j, hue in enumerate(colours):
                    good = (kind == one) & (colour != hue)
                    parts = [Part(plain[i])]
                    parts += [Part(coloured[i * len(colours) + j], -weight)] if weight else []
                    found.append(_precision(score(parts, before), good))
            print(f"  {_WAY[before]}, not: weight {weight:4.2f}: {_mean(found)}")
        for share in (0.2, 0.4, 0.6, 1.0):
            found = []
            for i in range(0, len(world.clips), 5):
                for place, query in asked.items():
                    good = (kind == kind[i]) & (scene == place) & (scene[i] != place)
                    own = {
                        spec.name: world.vectors[spec.name][i : i + 1]
                        * np.float32(share * length_of([query[spec.name]]))
                        for spec in world.levels
                    }
                    scores = score([Part(query), Part(own)], before)
                    scores[i] = -np.inf
                    found.append(_precision(scores, good))
            print(f"  {_WAY[before]}, clip and place: a clip's share {share:4.2f}: {_mean(found)}")


_WAY = {True: "before", False: "after "}


def _precision(scores: np.ndarray, good: np.ndarray) -> float | None:
    if not good.any():
        return None
    hits = good[np.argsort(-scores)]
    return float((np.cumsum(hits)[hits] / (np.flatnonzero(hits) + 1)).mean())


def _mean(found: list[float | None]) -> str:
    known = [value for value in found if value is not None]
    return f"{100 * np.mean(known):.1f} ({len(known)} questions)"


def nothing_fits(world: World) -> None:
    """Learned from a caption each of half of the clips, tried with one of each of the others."""
    order = np.random.default_rng(SEED).permutation(len(world.clips))
    learn, tried = order[: len(order) // 2], order[len(order) // 2 :]
    told = fit(
        world.gallery,
        world.levels,
        world.questions([world.captions[i][0] for i in learn]),
        world.gallery.ids[learn],
    )
    chance = fit(world.gallery, world.levels, world.questions(list(SENTENCES)), None)
    questions = world.questions([world.captions[i][0] for i in tried])
    print(f"\nNothing fits: {len(tried)} questions whose clip is there, and the same with it removed")
    for name, likelihood in (("captions", told), ("sentences", chance)):
        for gone, what in (
            (_only, "its hard negatives stay"),
            (_family, "with all clips of the same things"),
        ):
            _told(world, likelihood, questions, tried, gone, f"learned from {name}, removed {what}")
    foreign = ["asdkjh qwe", "a lecture on physics", *SENTENCES]
    weak = sum(
        _best(world, told, row, np.ones(len(world.clips), bool)) < told.weak for row in _each(world.questions(foreign))
    )
    print(
        f"  of {len(foreign)} sentences about other worlds {100 * weak / len(foreign):.1f}% are told that nothing fits"
    )


def _told(world: World, likelihood: Likelihood, questions: Vectors, tried: np.ndarray, gone, name: str) -> None:
    """By the limit that was learned, and by the one that 5% of those whose clip is there fall below."""
    there, rows = np.ones(len(world.clips), bool), _each(questions)
    with_it = np.array([_best(world, likelihood, row, there) for row in rows])
    without = np.array([_best(world, likelihood, row, ~gone(world, i)) for row, i in zip(rows, tried, strict=True)])
    limits = {"": likelihood.weak, " at 5%": float(np.quantile(with_it, 0.05))}
    found = [
        f"{how}: removed {100 * np.mean(without < limit):5.1f}% told, there {100 * np.mean(with_it < limit):4.1f}%"
        for how, limit in limits.items()
    ]
    print(f"  {name:62}{';'.join(found)}")


def _only(world: World, i: int) -> np.ndarray:
    return np.arange(len(world.clips)) == i


def _family(world: World, i: int) -> np.ndarray:
    """Clips with the same kinds of actors."""

    def kinds(spec: ClipSpec) -> set[str]:
        return {spec.subject.kind} | ({spec.object.kind} if spec.object else set())

    return np.array([kinds(spec) == kinds(world.clips[i]) for spec in world.clips])


def _each(questions: Vectors) -> list[Vectors]:
    return [{name: rows[i : i + 1] for name, rows in questions.items()} for i in range(len(questions["global"]))]


def _best(world: World, likelihood: Likelihood, query: Vectors, there: np.ndarray) -> float:
    weights = resolve_weights(world.levels, {})
    scores = np.where(there, fused(world.levels, weights, query, world.vectors)[0], -np.inf)
    best = int(np.argmax(scores))
    return float(
        likelihood.of(query, weights, {name: rows[best : best + 1] for name, rows in world.vectors.items()})[0]
    )


def with_reactions(world: World) -> None:
    """A user who looks for one clip, and says of the first row which hit is most and which is least like it."""
    print(f"\nReactions: targets in the first row of {ROW} after 0, 1, 2, 3 of them, of {len(world.clips)} targets")
    kinds = [f"a {spec.subject.colour} {spec.subject.kind}" for spec in world.clips]
    for name, texts in (
        ("a complete caption", [own[0] for own in world.captions]),
        ("a caption that leaves things out", [own[-1] for own in world.captions]),
        ("colour and kind alone", kinds),
    ):
        encoded = _each(world.questions(texts))
        found = np.array([_session(world, query, i) for i, query in enumerate(encoded)])
        curve = ", ".join(f"{100 * np.mean(found <= round_):.1f}%" for round_ in range(4))
        print(f"  {name:34} {curve}")


def _session(world: World, query: Vectors, target: int) -> int:
    """After how many reactions the target is in the first row; 4 for never."""
    rng = np.random.default_rng([SEED, target])
    more: list[int] = []
    less: list[int] = []
    length = {spec.name: np.float32(CLIP_SHARE * length_of([query[spec.name]])) for spec in world.levels}
    for round_ in range(4):
        parts = [Part(query)]
        for part in reactions(more, less):
            own = world.gallery.vectors([part.source.clip_id])
            parts.append(Part({name: rows * length[name] for name, rows in own.items()}, part.weight))
        hits = search(world.gallery, world.levels, fold(world.levels, parts), ROW, {}).hits
        places = [int(np.searchsorted(world.gallery.ids, hit.id)) for hit in hits]
        if target in places:
            return round_
        likeness = np.array([_in_common(world.clips[i], world.clips[target]) for i in places]) + 0.1 * rng.random(ROW)
        more.append(hits[int(np.argmax(likeness))].id)
        less.append(hits[int(np.argmin(likeness))].id)
    return 4


def _in_common(a: ClipSpec, b: ClipSpec) -> int:
    """What a person sees that two clips have in common."""
    pairs = [(a.verb, b.verb), (a.scene, b.scene), (a.object is None, b.object is None)]
    pairs += [(getattr(a.subject, name), getattr(b.subject, name)) for name in ("kind", "colour", "size")]
    if a.object and b.object:
        pairs += [(getattr(a.object, name), getattr(b.object, name)) for name in ("kind", "colour", "size")]
    return sum(one == other for one, other in pairs)


def in_order(world: World) -> None:
    """Films of two clips, and the same two the other way round: only the order tells them apart."""
    rng = np.random.default_rng(SEED)
    pairs = rng.permutation(len(world.clips))[: len(world.clips) // 2 * 2].reshape(-1, 2)
    places = np.concatenate([np.concatenate([pair, pair[::-1]]) for pair in pairs])
    n = len(places)
    starts = np.tile([0.0, 8.0], n // 2)
    table = ClipTable(np.arange(1, n + 1), np.repeat(np.arange(n // 2), 2) + 1, starts, starts + 8)
    first = world.questions([world.captions[a][0] for a, _ in pairs])
    second = world.questions([world.captions[b][0] for _, b in pairs])
    plain = world.questions([f"{world.captions[a][0]}, then {world.captions[b][0]}" for a, b in pairs])
    hits = np.zeros((2, len(pairs)), bool)
    with tempfile.TemporaryDirectory() as folder:
        vectors = {name: rows[places] for name, rows in world.vectors.items()}
        gallery = make_gallery(Path(folder), world.levels, range(1, n + 1), vectors)
        timeline = Timeline.of(table)
        for i, (one, two, whole) in enumerate(zip(_each(first), _each(second), _each(plain), strict=True)):
            for way, (moments, within) in enumerate((([whole], [0.0]), ([one, two], [0.0, 30.0]))):
                queries = {name: np.concatenate([moment[name] for moment in moments]) for name in whole}
                question = make_question(world.levels, queries, {})
                found = best_moments(gallery, timeline, question, within, 1, films=True).chains
                hits[way, i] = int(table.video_ids[found[0].hits[0].id - 1]) == 2 * i + 1
    print(f"\nOrder: {len(pairs)} questions to {n // 2} films of two clips, each with its reverse")
    print(
        f'  R@1 of "A, then B" as one sentence {100 * hits[0].mean():.1f}%, as two moments {100 * hits[1].mean():.1f}%'
    )


if __name__ == "__main__":
    main()
