"""Exhaustive search: one pass over the half-precision rows of all levels that a query uses.

Half-precision scores are off by a bounded amount, so every item that may be among the first k is kept for a
second look in float32; all others provably are not. Runs on any torch device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from indexer.gallery import Gallery
from indexer.question import FLOAT32_UNIT, Floats, Question, fused_error
from indexer.resident import Resident
from indexer.segment import Bounds

if TYPE_CHECKING:
    import torch

_HALF_UNIT = 2.0**-11
"""Unit roundoff of float16."""

_FEW = 4
"""Below this many queries a matrix-vector product each beats widening the rows to float32 for all of them."""

_BLOCK_ROWS = {"few": 1 << 16, "many": 1 << 13, "cuda": 1 << 20}
"""Rows per step: scores, and widened rows where there are any, stay in the cache of a core."""


def scan(
    gallery: Gallery,
    question: Question,
    k: int,
    allowed: npt.NDArray[np.bool_] | None,
    skip: int = 0,
) -> list[npt.NDArray[np.int64]]:
    """For each query the rows, ascending, of every item whose true score may be among the first k.

    allowed  bool (N,): rows that may be in the answer; None for all
    skip     segments, from the first on, that are left out
    """
    import torch

    resident = gallery.resident
    survivors = _Survivors(len(question), k)
    with torch.inference_mode():
        for place, start, segment in gallery.parts():
            if place < skip:
                continue
            error = torch.from_numpy(_error(question, segment.bounds, gallery.complete)).to(resident.device)
            block = _Block(question, segment.bounds, resident, place, gallery.complete)
            for first in range(0, len(segment), block.size):
                last = min(first + block.size, len(segment))
                scores = block.scores(first, last)
                if allowed is not None:
                    mask = torch.from_numpy(allowed[start + first : start + last]).to(resident.device)
                    scores.masked_fill_(~mask, -torch.inf)
                survivors.take(scores, start + first, error)
    return survivors.rows()


class _Block:
    """Fused scores of a block of rows of one segment, for all queries: (B, rows) float32."""

    def __init__(
        self,
        question: Question,
        bounds: dict[str, Bounds],
        resident: Resident,
        place: int,
        complete: npt.NDArray[np.bool_],
    ) -> None:
        import torch

        self._half = resident.half[place]
        self._present = resident.present[place]
        self._used = question.used
        self._weights = torch.from_numpy(question.weights.astype(np.float32)).to(resident.device)
        self._complete = complete
        few = len(question) < _FEW
        self._widen = resident.device == "cpu" and not few
        self.size = _BLOCK_ROWS["cuda" if resident.device != "cpu" else "few" if few else "many"]
        self._queries, self._factors = {}, {}
        for _, spec in self._used:
            scaled, exponents = _scaled(question.rows[spec.name])
            rounded = torch.from_numpy(scaled.astype(np.float16)).to(resident.device)
            self._queries[spec.name] = rounded.float() if self._widen else rounded
            back = np.ldexp(1.0, -exponents - bounds[spec.name].exponent).astype(np.float32)
            self._factors[spec.name] = torch.from_numpy(back).to(resident.device).unsqueeze(1)

    def scores(self, first: int, last: int) -> torch.Tensor:
        """-inf for items that share no weighted level with the query."""
        import torch

        total = norm = None
        for column, spec in self._used:
            score = self._products(spec.name, first, last) * (self._factors[spec.name] * spec.scale)
            if spec.bias:
                score += spec.bias
            if spec.activation == "sigmoid":
                score.sigmoid_()
            weight = self._weights[:, column : column + 1]
            score *= weight
            if not self._complete[column]:
                present = self._present[column, first:last]
                score *= present
                weight = weight * present
            total = score if total is None else total.add_(score)
            norm = weight if norm is None else norm + weight
        assert total is not None
        assert norm is not None
        if all(self._complete[column] for column, _ in self._used):
            return total.div_(norm)
        return torch.where(norm > 0, total / norm, -torch.inf)

    def _products(self, level: str, first: int, last: int) -> torch.Tensor:
        import torch

        rows, queries = self._half[level][first:last], self._queries[level]
        if self._widen:
            return queries @ rows.float().T
        if rows.is_cuda:
            return (queries @ rows.T).float()
        return torch.stack([torch.mv(rows, query) for query in queries]).float()


class _Survivors:
    """The best scores so far, and every row that the error leaves within their reach."""

    def __init__(self, queries: int, k: int) -> None:
        self._k = k
        self._best: torch.Tensor | None = None
        self._reach: torch.Tensor | None = None
        self._kept: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self._queries = queries

    def take(self, scores: torch.Tensor, start: int, error: torch.Tensor) -> None:
        """scores (B, rows), of rows from `start` on, each off by at most error (B,)."""
        import torch

        top = scores.topk(min(self._k, scores.shape[1]), dim=1, sorted=False).values.double() - error.unsqueeze(1)
        best = top if self._best is None else torch.cat([self._best, top], dim=1)
        if best.shape[1] > self._k:
            best = best.topk(self._k, dim=1, sorted=False).values
        self._best = best
        # A row whose score plus its error stays below k scores less their errors cannot be among the first k.
        reach = best.amin(dim=1) if best.shape[1] == self._k else torch.full_like(error, -torch.inf)
        least = (reach - error).float()
        least = torch.nextafter(least, torch.full_like(least, -torch.inf)).clamp_min(torch.finfo(torch.float32).min)
        query, row = torch.nonzero(scores >= least.unsqueeze(1), as_tuple=True)
        self._kept.append((query, row + start, scores[query, row].double() + error[query]))
        self._reach = reach

    def rows(self) -> list[npt.NDArray[np.int64]]:
        if self._reach is None:
            return [np.zeros(0, dtype=np.int64)] * self._queries
        import torch

        query, row, high = (torch.cat(parts) for parts in zip(*self._kept, strict=True))
        final = high >= self._reach[query]
        query, row = query[final].cpu(), row[final].cpu()
        return [row[query == i].numpy() for i in range(self._queries)]


def _scaled(queries: npt.NDArray[np.float32]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Queries times powers of two, so that their norms lie in [1/2, 1), and the exponents."""
    exponents = -np.frexp(np.linalg.norm(queries.astype(np.float64), axis=1))[1].astype(np.int64)
    return np.ldexp(queries.astype(np.float64), exponents[:, None]), exponents


def _error(question: Question, bounds: dict[str, Bounds], complete: npt.NDArray[np.bool_]) -> Floats:
    """How far the half-precision scores may be off: (B,).

    An inner product <v, q> is computed from v' = v + r and q' = q + p, summed in float32 in any order (which
    errs by at most about d * u * |v'| |q'|: Higham, Accuracy and Stability of Numerical Algorithms, 3.1; doubled
    here), and may be rounded to float16 at the end: |r||q| + |v'||p| + 2 d u |v'||q'| + 2^-11 |v'||q'|. The last
    rounding is by at most 2^-25 below float16's normal range, where the scaling leaves |v'||q'| >= 1/4 to the
    largest row: 2^-23 more.
    """
    raw, sizes = np.zeros_like(question.weights), np.zeros_like(question.weights)
    for column, spec in enumerate(question.specs):
        own = bounds[spec.name]
        exact, exponents = _scaled(question.rows[spec.name])
        lost = np.ldexp(np.linalg.norm(exact.astype(np.float16) - exact, axis=1), -exponents)
        query = np.linalg.norm(question.rows[spec.name].astype(np.float64), axis=1)
        stored, asked = own.norm + own.residual, query + lost
        sizes[:, column] = stored * asked
        raw[:, column] = own.residual * query + stored * lost
        raw[:, column] += (2 * spec.dim * FLOAT32_UNIT + 1.01 * _HALF_UNIT + 2.0**-23) * sizes[:, column]
    return fused_error(question, raw, sizes, complete)
