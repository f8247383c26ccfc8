"""Everything that a report says about one model on one set of captioned videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.evaluation.contributions import Contribution, level_contributions
from model.evaluation.examples import Example, text_to_video_examples
from model.evaluation.metrics import Retrieval
from model.evaluation.ranks import BothRanks, rank_all
from model.evaluation.relevance import Index, per_caption, per_distinct_caption
from model.evaluation.scores import FUSED, LevelScores, ScoreSource

PER_CAPTION, PER_DISTINCT_CAPTION = "per_caption", "per_distinct_caption"


@dataclass(frozen=True)
class Subject:
    """What was searched: V videos by name, and C captions, caption i written for video owner[i]."""

    videos: Sequence[str]
    captions: Sequence[str]
    owner: Index


@dataclass(frozen=True)
class Assessment:
    """Ranks by protocol and by score ("fused", each level, "without LEVEL"), and what explains them.

    `contributions` is empty for a model without levels.
    """

    subject: Subject
    ranks: Mapping[str, Mapping[str, BothRanks]]
    contributions: Mapping[str, Contribution]
    examples: Sequence[Example]

    def results(self, protocol: str) -> dict[str, Retrieval]:
        return {name: Retrieval.of(both) for name, both in self.ranks[protocol].items()}


def assess(source: ScoreSource, subject: Subject, examples: int = 12) -> Assessment:
    """Rank under both protocols and gather what a report shows; the scores are computed a block at a time.

    Raises InputError if the scores are not of these captions and videos.
    """
    videos = len(subject.videos)
    rows = per_caption(subject.owner, videos)
    distinct = per_distinct_caption(subject.owner, videos, subject.captions)
    ranks = rank_all(source, [rows, distinct])
    by_protocol = {
        PER_CAPTION: {name: both[0] for name, both in ranks.items()},
        PER_DISTINCT_CAPTION: {name: both[1] for name, both in ranks.items()},
    }
    contributions = level_contributions(source, distinct) if isinstance(source, LevelScores) else {}
    fused = by_protocol[PER_DISTINCT_CAPTION][FUSED].text_to_video
    return Assessment(subject, by_protocol, contributions, text_to_video_examples(source, distinct, fused, examples))
