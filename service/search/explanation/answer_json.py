"""From ranked hits to the JSON of an answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from indexer.catalog.records import Caption, Clip
from indexer.search.top_k import Hit
from indexer.store.served_generation import ServedGeneration
from model.encoder import EncoderSpec
from model.language.parsed_caption import Attributes
from quartet.schemas import search_answers as schemas
from service.search.ranking.batch_ranking import RankedItems
from service.search.requests import Question, SearchOptions, Sentence, Stored, Uploaded


@dataclass(frozen=True)
class Batch:
    """What the answers of one batch have in common: the generation, the model, its size and its time by stage."""

    generation: ServedGeneration
    spec: EncoderSpec
    size: int
    watch: Stopwatch

    def provenance(self, wanted: SearchOptions, ranked: RankedItems) -> dict[str, Any]:
        """The fields that every answer has."""
        queue = round(1000 * (self.watch.began - wanted.asked), 3)
        return {
            "generation": self.generation.name,
            "exact": ranked.found.exact,
            "took_ms": schemas.Took(queue=queue, **self.watch.laps),
            "model_fingerprint": self.spec.fingerprint,
            "weights": ranked.weights,
            "explanation": self._explanation(ranked) if wanted.explain else None,
        }

    def _explanation(self, ranked: RankedItems) -> schemas.Explanation:
        levels = {
            level.name: schemas.LevelExplained(
                activation=level.activation, scale=level.scale, bias=level.bias, weight=ranked.weights[level.name]
            )
            for level in self.spec.levels
        }
        if ranked.words is not None:
            spec = ranked.words
            levels[spec.name] = schemas.LevelExplained(
                activation=spec.activation, scale=spec.scale, bias=spec.bias, weight=ranked.weights[spec.name]
            )
        found = ranked.found
        return schemas.Explanation(
            levels=levels,
            candidates=found.candidates,
            bound=found.bound,
            certified=found.certified,
            search_ms=found.took_ms,
            batch=self.size,
        )


class Stopwatch:
    """Milliseconds by stage, in `laps`."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.began = self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = round(1000 * (now - self._last), 3)
        self._last = now


def clip_hits(
    ranked: RankedItems,
    clips: Mapping[int, Clip],
    matched: Sequence[Attributes],
    address: str,
    given: Sequence[schemas.PartScores] | None = None,
    likely: Sequence[float] | None = None,
    lines: Sequence[Mapping[int, schemas.Line]] = ({},),
    sort: str = "score",
) -> list[schemas.ClipHit]:
    """Hits of clips. The catalogue is live and the generation is not: a clip that was removed since is not shown.

    matched  which of the question's words each hit shows
    address  what the paths of the library begin with
    given    what each part of the question gave to each hit, if it has several
    likely   how likely each hit is a match, where that is known
    lines    the text at the time of a clip, by its id: for each moment of the question
    sort     their order: "score", "time" (video by video) or "date" (the newest files first)
    """
    extras = ranked.extras or [None] * len(ranked.hits)
    order = _order(ranked.hits, clips, sort)
    return [
        schemas.ClipHit(
            clip_id=hit.id,
            video_id=clip.video_id,
            title=clip.title,
            start=clip.start,
            end=clip.end if extra is None else max(clips[own.id].end for own in extra.chain),
            **clip_urls(address, hit.id),
            line=_first_line((hit,) if extra is None else extra.chain, lines),
            parts=given[i] if given else None,
            likelihood=round(likely[i], 4) if likely else None,
            moments=[]
            if extra is None
            else [
                _moment(own, clips[own.id], (lines[m] if len(lines) > 1 else lines[0]).get(own.id), address)
                for m, own in enumerate(extra.moments)
                if own.id in clips
            ],
            alike=[] if extra is None else list(extra.alike),
            **_scored(hit, matched[i]),
        )
        for i, hit, extra in ((i, ranked.hits[i], extras[i]) for i in order)
        if (clip := clips.get(hit.id)) is not None and all(own.id in clips for own in (extra.chain if extra else ()))
    ]


def _order(hits: Sequence[Hit], clips: Mapping[int, Clip], sort: str) -> Sequence[int]:
    """The places of the hits in the order that is asked for."""
    known = [i for i, hit in enumerate(hits) if hit.id in clips]
    if sort == "time":
        return sorted(known, key=lambda i: (clips[hits[i].id].video_id, clips[hits[i].id].start))
    if sort == "date":
        return sorted(known, key=lambda i: (-clips[hits[i].id].mtime, hits[i].id))
    return known


def _first_line(chain: Sequence[Hit], lines: Sequence[Mapping[int, schemas.Line]]) -> schemas.Line | None:
    """The line of the first clip of a chain that has one."""
    found = (own.get(hit.id) for hit, own in zip(chain, lines, strict=True))
    return next((line for line in found if line is not None), None)


def _moment(hit: Hit, clip: Clip, line: schemas.Line | None, address: str) -> schemas.Moment:
    return schemas.Moment(
        clip_id=hit.id,
        start=clip.start,
        end=clip.end,
        score=hit.score,
        levels=_levels(hit),
        thumbnail_url=clip_urls(address, hit.id)["thumbnail_url"],
        line=line,
    )


def caption_hits(
    ranked: RankedItems, captions: Mapping[int, Caption], matched: Mapping[int, Attributes]
) -> list[schemas.CaptionHit]:
    """Hits of captions, those that were removed since left out."""
    return [
        schemas.CaptionHit(
            caption_id=hit.id,
            text=caption.text,
            source=caption.source,
            clip_id=caption.clip_id,
            **_scored(hit, matched[hit.id]),
        )
        for hit in ranked.hits
        if (caption := captions.get(hit.id)) is not None
    ]


def asked_parts(question: Question, attributes: Sequence[Attributes]) -> list[schemas.AskedPart]:
    """The parts of a question, and what the parser read off each."""
    remaining = iter(attributes)
    return [
        schemas.AskedPart(
            moment=moment,
            text=part.source.text if isinstance(part.source, Sentence) else None,
            clip_id=part.source.clip_id if isinstance(part.source, Stored) else None,
            upload=part.source.name if isinstance(part.source, Uploaded) else None,
            weight=part.weight,
            reaction=part.reaction,
            attributes=attributes_json(next(remaining)),
        )
        for moment, own in enumerate(question.moments)
        for part in own.parts
    ]


def attributes_json(found: Attributes) -> schemas.Attributes:
    return schemas.Attributes(entities=found.entity, actions=found.action, relations=found.relation)


def clip_urls(address: str, clip_id: int) -> dict[str, Any]:
    """The addresses of a clip's pictures and video, by the names that they have in answers."""
    return {f"{what}_url": f"{address}/clips/{clip_id}/{what}" for what in ("thumbnail", "strip", "media")}


def _scored(hit: Hit, matched: Attributes) -> dict[str, Any]:
    return {"score": hit.score, "levels": _levels(hit), "matched": attributes_json(matched)}


def _levels(hit: Hit) -> dict[str, Any]:
    """As `schemas.LevelScore` takes them: objects of it, one by one, would take a tenth of the time of an answer."""
    return {name: level._asdict() for name, level in hit.levels.items()}
