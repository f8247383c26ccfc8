"""How likely a hit is a match: what it scores, compared with what unrelated questions and unrelated clips score.

Every library has a best hit for any question. Whether that is a match shows in how far it stands out, by two measures
of the same score: among what the question gives to clips of the library at large, and among what questions at large
give to this clip. Where captions tell which clip a question is about, a logistic regression learns from them what
both look like for the right clip, and for the best of the others. Without captions the best hits of sentences that
are about nothing in particular say what chance gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from indexer.search.question import Floats
from indexer.search.survivors import Positions
from indexer.search.top_k import search_batch
from indexer.search.vectors.gallery import Gallery
from model.levels import LevelSpec, Vectors, resolve_weights

Present = Mapping[str, npt.NDArray[np.bool_]]

FALSE_ALARMS = 0.04
"""This share of the questions that have a match may be answered "nothing fits". At 0.05 it was up to 6% in the demo."""

_CLIPS = 512
"""Clips that stand for the library at large."""

_MIN_CAPTIONS = 24
"""So many captions teach what a match looks like."""

_RIDGE = 1e-3

_NINE_IN_TEN = 1.2816
"""Standard deviations of a normal distribution below which nine tenths of it are."""


@dataclass(frozen=True)
class Likelihood:
    """What `fit` has learned of a gallery.

    basis         whether captions taught what a match looks like, or only sentences what chance looks like
    questions     query vectors of questions at large, {level: (B, d_l)}; clips: stored vectors of clips at large
    slopes, base  of the logistic regression over the measures
    weak          a hit that is less likely than this is weak; if all are, nothing fits
    """

    specs: tuple[LevelSpec, ...]
    basis: Literal["captions", "sentences"]
    questions: Vectors
    clips: Vectors
    slopes: Floats
    base: float
    weak: float

    def of(self, query: Vectors, weights: Mapping[str, float], hits: Vectors) -> Floats:
        """For one query and the stored vectors of H hits how likely each is a match: (H,), 0 to 1."""
        return logistic(self.measures(query, weights, hits) @ self.slopes + self.base)

    def measures(self, query: Vectors, weights: Mapping[str, float], hits: Vectors) -> Floats:
        """(H, 3): what a hit scores, and by how many standard deviations it stands out for its question, and the
        question for the hit."""
        asked, there = present(query), present(hits)
        score = fused(self.specs, weights, query, hits, asked, there)[0]
        at_large = fused(self.specs, weights, query, self.clips, asked, self._clips_present)
        others = fused(self.specs, weights, self.questions, hits, self._questions_present, there)
        return np.stack([score, _stands_out(score, at_large), _stands_out(score, others.T)], axis=1)

    @cached_property
    def _clips_present(self) -> Present:
        return present(self.clips)

    @cached_property
    def _questions_present(self) -> Present:
        return present(self.questions)


def fit(gallery: Gallery, specs: Sequence[LevelSpec], questions: Vectors, targets: Positions | None) -> Likelihood:
    """Learn from B questions, {level: (B, d_l)} query vectors.

    targets  (B,) the clip that each is about; None for sentences that are about nothing in particular
    The gallery has at least one clip.
    """
    weights = resolve_weights(specs, {})
    clips = clips_at_large(gallery)
    basis: Literal["captions", "sentences"] = "sentences" if targets is None else "captions"
    plain = Likelihood(tuple(specs), basis, questions, clips, np.zeros(3), 0.0, 0.5)
    found = search_batch(gallery, specs, questions, 2, weights, exact=True)
    asked = [i for i, result in enumerate(found) if result.hits]
    if not asked:
        return plain
    # Of each question its hits, and behind them the clip that it is about.
    shown = [[hit.id for hit in found[i].hits] + ([] if targets is None else [int(targets[i])]) for i in asked]
    lengths = [len(ids) for ids in shown]
    ends = np.cumsum(lengths)
    begins = ends - lengths
    items = [item for ids in shown for item in ids]
    measures = _measures(plain, weights, np.repeat(asked, lengths), gallery.vectors(items))
    others = []
    for i, begin, end in zip(asked, begins, ends, strict=True):
        hits = range(begin, end if targets is None else end - 1)
        others += [row for row in hits if targets is None or items[row] != targets[i]][:1]
    best, chance = measures[begins], measures[others]
    if targets is None:
        return _by_chance(plain, chance)
    own = measures[ends - 1]
    slopes, base = regression(np.concatenate([own, chance]), np.arange(len(own) + len(chance)) < len(own))
    likely = logistic(best @ slopes + base)
    # Of so few questions a share is known roughly: less is aimed at, so that nine times in ten it is not more.
    share = max(0.0, FALSE_ALARMS - _NINE_IN_TEN * np.sqrt(FALSE_ALARMS * (1 - FALSE_ALARMS) / len(likely)))
    return Likelihood(tuple(specs), basis, questions, clips, slopes, base, float(np.quantile(likely, share)))


def clips_at_large(gallery: Gallery) -> Vectors:
    """Stored vectors of clips that stand for all."""
    chosen = np.random.default_rng(0).choice(gallery.ids, min(_CLIPS, len(gallery)), replace=False)
    return gallery.vectors(np.sort(chosen))


def _measures(plain: Likelihood, weights: Mapping[str, float], of: Positions, hits: Vectors) -> Floats:
    """(H, 3): as `Likelihood.measures` of one question, of H hits of the questions that `of` (H,) numbers."""
    scores = fused(plain.specs, weights, plain.questions, hits)
    own = scores[of, np.arange(len(of))]
    against = fused(plain.specs, weights, plain.questions, plain.clips)
    return np.stack([own, _stands_out(own, against[of]), _stands_out(own, scores.T)], axis=1)


def teaches(captions: int) -> bool:
    """Whether so many captions are enough to learn from."""
    return captions >= _MIN_CAPTIONS


def present(vectors: Vectors) -> Present:
    """Which rows have a level."""
    return {name: np.asarray(rows.any(axis=1)) for name, rows in vectors.items()}


def fused(
    specs: Sequence[LevelSpec],
    weights: Mapping[str, float],
    queries: Vectors,
    clips: Vectors,
    asked: Present | None = None,
    there: Present | None = None,
) -> Floats:
    """What each of B queries gives to each of N clips: (B, N); 0 for pairs that share no level.

    asked, there  what `present` says of queries and clips, where that is known
    """
    asked, there = asked or present(queries), there or present(clips)
    name = specs[0].name
    total = norm = np.zeros((len(asked[name]), len(there[name])))
    for spec in specs:
        left, right = asked[spec.name], there[spec.name]
        if not left.any() or not weights[spec.name]:
            continue
        share = weights[spec.name] * (np.ones((1, 1)) if left.all() and right.all() else np.outer(left, right))
        total = total + share * spec.activate((queries[spec.name] @ clips[spec.name].T).astype(np.float64))
        norm = norm + share
    return total / np.where(norm > 0, norm, 1)


def regression(measures: Floats, matches: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Slopes and base of a logistic regression in which both kinds weigh the same, by Newton's method."""
    mean, deviation = measures.mean(axis=0), measures.std(axis=0)
    # A measure that never differs tells nothing.
    deviation = np.where(deviation > 1e-9, deviation, np.inf)
    rows = np.concatenate([(measures - mean) / deviation, np.ones((len(measures), 1))], axis=1)
    balance = np.where(matches, 0.5 / max(matches.sum(), 1), 0.5 / max((~matches).sum(), 1))
    signs = np.where(matches, 1.0, -1.0)

    def loss(slopes: Floats) -> float:
        return float(balance @ np.logaddexp(0, -signs * (rows @ slopes)) + _RIDGE / 2 * slopes[:-1] @ slopes[:-1])

    found = np.zeros(rows.shape[1])
    ridge = np.diag([_RIDGE] * measures.shape[1] + [1e-9])
    for _ in range(100):
        likely = logistic(rows @ found)
        slope = rows.T @ (balance * (likely - matches)) + ridge @ found
        bend = (rows * (balance * likely * (1 - likely))[:, None]).T @ rows + ridge
        step = np.linalg.solve(bend, slope)
        # Where the loss is far from a parabola a whole step may lead uphill.
        while loss(found - step) > loss(found) and np.abs(step).max() > 1e-9:
            step = step / 2
        found = found - step
        if np.abs(step).max() < 1e-9:
            break
    slopes = found[:-1] / deviation
    return slopes, float(found[-1] - slopes @ mean)


def logistic(values: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -values))


def _by_chance(plain: Likelihood, chance: Floats) -> Likelihood:
    """A hit is as likely as not where it stands out as all but one in twenty of the best hits of chance do."""
    together = chance[:, 1:].sum(axis=1)
    slope = 2 / max(float(together.std()), 1e-6)
    base = -slope * float(np.quantile(together, 1 - FALSE_ALARMS))
    slopes = np.array([0.0, slope, slope])
    return Likelihood(plain.specs, plain.basis, plain.questions, plain.clips, slopes, base, 0.5)


def _stands_out(score: Floats, others: Floats) -> Floats:
    """(score - mean) / standard deviation of others (1 or H, N)."""
    return (score - others.mean(axis=1)) / np.maximum(others.std(axis=1), 1e-9)
