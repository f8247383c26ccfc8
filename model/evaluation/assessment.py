"""Everything that a report says about one model on one set of captioned videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from model.evaluation.contrast import Contrast
from model.evaluation.contributions import Contribution, level_contributions
from model.evaluation.examples import Example, text_to_video_examples
from model.evaluation.graded import Grades, graded_ndcg
from model.evaluation.metrics import Retrieval
from model.evaluation.ranks import BothRanks, rank_all
from model.evaluation.relevance import Index, per_caption, per_distinct_caption
from model.evaluation.scores import FUSED, LevelScores, ScoreSource
from model.language.parsed_caption import Attributes

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

    `contributions` is empty for a model without levels. `graded` is nDCG@10 of the fused score with graded relevance,
    per caption: text to video, video to text. `labels` say by level how many captions have each noun, verb and triplet;
    empty where nobody parsed them. `contrast` says what is noticed of changed captions; empty where nobody measured it.
    """

    subject: Subject
    ranks: Mapping[str, Mapping[str, BothRanks]]
    contributions: Mapping[str, Contribution]
    examples: Sequence[Example]
    graded: tuple[float, float]
    labels: Mapping[str, Counter[str]] = field(default_factory=dict)
    contrast: Contrast = field(default_factory=dict)

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
    graded = graded_ndcg(source, Grades.of(subject.captions, subject.owner, videos))
    shown = text_to_video_examples(source, distinct, fused, examples)
    return Assessment(subject, by_protocol, contributions, shown, graded)


def label_frequencies(attributes: Sequence[Attributes]) -> dict[str, Counter[str]]:
    """How many captions have each noun, verb and triplet, by level."""
    levels = ("entity", "action", "relation")
    return {level: Counter(word for one in attributes for word in set(one.of(level))) for level in levels}
