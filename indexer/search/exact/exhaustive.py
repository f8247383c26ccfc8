"""Exhaustive search: one pass over the compact rows of all levels that a query uses (`vectors.compact_rows`).

Scores of compact rows are off by a bounded amount, so every item that may be among the first k is kept for a
second look in float32; all others provably are not. Here in PyTorch, on any device; on the CPU `exact.code_scan` takes
over once it is compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from indexer.search.exact.code_scan import compiled_kernel, limits_of_all, scan_codes
from indexer.search.question import Floats, Question, fused_error
from indexer.search.survivors import Survivors
from indexer.search.vectors.compact_rows import MappedCodes, Resident
from indexer.search.vectors.gallery import Gallery

if TYPE_CHECKING:
    import torch

_BLOCK_SCORES = {"cpu": 1 << 17, "accelerator": 1 << 24}
"""Scores computed per step, of all queries: on the CPU they stay in its caches."""

_BLOCK_ROWS = {"cpu": 1 << 15, "accelerator": 1 << 20}
"""Rows per step at most."""


def scan(
    gallery: Gallery,
    question: Question,
    k: int,
    allowed: npt.NDArray[np.bool_] | None,
    skip: int = 0,
) -> list[Survivors]:
    """For each query the rows of every item whose true score may be among the first k.

    allowed  bool (N,): rows that may be in the answer; None for all
    skip     segments, from the first on, that are left out
    """
    resident = gallery.resident
    kernel = compiled_kernel(len(gallery.row_ids)) if isinstance(resident, MappedCodes) else None
    if kernel is not None and len(question.specs) <= kernel.LEVELS:
        return scan_codes(kernel, gallery, question, k, allowed, skip)
    import torch

    survivors = _Survivors(len(question), k)
    with torch.inference_mode():
        for place, start, segment in gallery.parts():
            if place < skip:
                continue
            raw, sizes = resident.errors(place, question)
            error = torch.from_numpy(fused_error(question, raw, sizes, gallery.complete)).to(resident.device)
            block = _Block(question, resident, place, gallery.complete)
            for first in range(0, len(segment), block.size):
                last = min(first + block.size, len(segment))
                scores = block.scores(first, last)
                if allowed is not None:
                    mask = torch.from_numpy(allowed[start + first : start + last]).to(resident.device)
                    scores.masked_fill_(~mask, -torch.inf)
                survivors.take(scores, start + first, error)
    return survivors.found()


def row_limits(gallery: Gallery, question: Question) -> tuple[Floats, Floats]:
    """What each of all N rows scores at least and most for each of B queries: (B, N) each.

    -inf for items that share no weighted level with the query. Rows of removed items have scores too.
    """
    resident = gallery.resident
    rows = len(gallery.row_ids)
    kernel = compiled_kernel(rows) if isinstance(resident, MappedCodes) else None
    if kernel is not None and len(question.specs) <= kernel.LEVELS:
        return limits_of_all(kernel, gallery, question)
    import torch

    low, high = np.full((2, len(question), rows), -np.inf)
    with torch.inference_mode():
        for place, start, segment in gallery.parts():
            raw, sizes = resident.errors(place, question)
            error = fused_error(question, raw, sizes, gallery.complete)[:, None]
            block = _Block(question, resident, place, gallery.complete)
            for first in range(0, len(segment), block.size):
                last = min(first + block.size, len(segment))
                scores = block.scores(first, last).cpu().numpy().astype(np.float64)
                own = slice(start + first, start + last)
                low[:, own], high[:, own] = scores - error, scores + error
    return low, high


class _Block:
    """Fused scores of a block of rows of one segment, for all queries: (B, rows) float32."""

    def __init__(self, question: Question, resident: Resident, place: int, complete: npt.NDArray[np.bool_]) -> None:
        import torch

        self._present = resident.present[place]
        self._used = question.used
        self._products = {spec.name: resident.products(place, spec, question) for _, spec in self._used}
        self._weights = torch.from_numpy(question.weights.astype(np.float32)).to(resident.device)
        self._complete = complete
        kind = "cpu" if resident.device == "cpu" else "accelerator"
        self.size = max(1, min(_BLOCK_ROWS[kind], _BLOCK_SCORES[kind] // len(question)))

    def scores(self, first: int, last: int) -> torch.Tensor:
        """-inf for items that share no weighted level with the query."""
        import torch

        total = norm = None
        for column, spec in self._used:
            score = self._products[spec.name](first, last)
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

    def found(self) -> list[Survivors]:
        if self._reach is None:
            return [Survivors(np.zeros(0, dtype=np.int64))] * self._queries
        import torch

        query, row, high = (torch.cat(parts) for parts in zip(*self._kept, strict=True))
        final = high >= self._reach[query]
        query, row = query[final].cpu(), row[final].cpu()
        return [Survivors(row[query == i].numpy()) for i in range(self._queries)]
