"""The figures of an assessment as tables, for Markdown and for the page alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.evaluation.assessment import PER_CAPTION, PER_DISTINCT_CAPTION, Assessment
from model.evaluation.cutoffs import CUTOFFS, Cutoff
from model.evaluation.metrics import Measures, Retrieval, chance
from model.evaluation.ranks import BothRanks
from model.evaluation.scores import FUSED

PROTOCOLS = {
    PER_CAPTION: (
        "Per caption",
        "Every caption is a query with one right video, also where another video has the same caption. Video to text, "
        "the gallery is all captions, and the best of a video's own counts.",
    ),
    PER_DISTINCT_CAPTION: (
        "Per distinct caption",
        "Captions that read the same, letter for letter, are one query, and every video that one was written for is "
        "right. Video to text, the gallery holds each of them once.",
    ),
}
"""Title and sentences of each protocol."""

RULES = (
    "Ties count against the model: a wrong answer that scores the same as a right one stands before it. A text that "
    "lacks a level (no noun, no verb) is a miss for that level alone; the fused score is the mean of the levels that "
    "it has. mAP and nDCG@10 take an answer as right or wrong, nothing between. SumR is the sum of the six recalls."
)

_CONTRAST = (
    "Each caption is compared with a copy in which one noun, one verb, subject and object, or one attribute is "
    "changed, on the caption's own video. A score notices the change if the caption scores higher; equal scores do not "
    "count. In percent of the captions that could be changed, with their number in the heading, where the score has "
    "both texts; guessing gets 50, and a level that does not see the changed words has 0."
)


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column names the row. `sentences` say how to read it, where that needs saying."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    sentences: str = ""

    def markdown(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


@dataclass(frozen=True)
class Section:
    """The figures of one protocol with a title and the sentences that say how they came about."""

    title: str
    sentences: str
    tables: Sequence[Table]


def sections(assessment: Assessment) -> list[Section]:
    """One per protocol; where no caption repeats the second has a sentence in place of the same tables."""
    captions, videos = len(assessment.subject.captions), len(assessment.subject.videos)
    distinct = len(set(assessment.subject.captions))
    made = []
    for protocol, (title, sentences) in PROTOCOLS.items():
        if protocol == PER_DISTINCT_CAPTION and distinct == captions:
            made.append(Section(title, "No caption repeats, so these are the figures per caption.", []))
            continue
        ranks = assessment.ranks[protocol]
        counted = f"{captions} captions" if protocol == PER_CAPTION else f"{distinct} distinct captions"
        tables = [recall_table(ranks), ranking_table(ranks), cutoff_table(ranks)]
        made.append(Section(title, f"{videos} videos, {counted}. {sentences}", tables))
    return made


def recall_table(ranks: Mapping[str, BothRanks]) -> Table:
    """Recalls, median ranks and SumR of each score, and of a random order, in percent."""
    head = ["score", "t2v R@1", "R@5", "R@10", "MedR", "v2t R@1", "R@5", "R@10", "MedR", "SumR"]
    rows = []
    for name, both in ranks.items():
        r = Retrieval.of(both)
        rows.append([name, *_recalls(r.text_to_video), *_recalls(r.video_to_text), f"{r.sum_r:.1f}"])
    both = ranks[FUSED]
    cells, sum_r = [], 0.0
    for direction in (both.text_to_video, both.video_to_text):
        expected = [chance(direction.relevant, direction.gallery)[key] for key in ("r1", "r5", "r10")]
        cells += [*(f"{value:.1f}" for value in expected), ""]
        sum_r += sum(expected)
    return Table("Recall", head, [*rows, ["chance", *cells, f"{sum_r:.1f}"]])


def ranking_table(ranks: Mapping[str, BothRanks]) -> Table:
    """Mean ranks, mAP and nDCG@10 of each score."""
    head = ["score", "t2v MeanR", "mAP", "nDCG@10", "v2t MeanR", "mAP", "nDCG@10"]
    rows = []
    for name, of_name in ranks.items():
        r = Retrieval.of(of_name)
        cells = [
            f"{value:.1f}"
            for m in (r.text_to_video, r.video_to_text)
            for value in (m.mean_rank, m.mean_average_precision, m.ndcg10)
        ]
        rows.append([name, *cells])
    both = ranks[FUSED]
    expected = [f"{chance(d.relevant, d.gallery)['mean_rank']:.1f}" for d in (both.text_to_video, both.video_to_text)]
    return Table("Whole rankings", head, [*rows, ["chance", expected[0], "", "", expected[1], "", ""]])


def cutoff_table(ranks: Mapping[str, BothRanks]) -> Table:
    """Precision, recall and F-score of the first k results of the fused score."""
    head = ["first", "t2v precision", "recall", "F-score", "v2t precision", "recall", "F-score"]
    both = ranks[FUSED]
    rows = []
    for k in CUTOFFS:
        cells = [Cutoff.of(direction, k) for direction in (both.text_to_video, both.video_to_text)]
        figures = [f"{value:.1f}" for c in cells for value in (c.precision, c.recall, c.f_score)]
        rows.append([str(k), *figures])
    return Table("The first k, fused", head, rows)


def graded_sentence(assessment: Assessment) -> str:
    """nDCG with graded relevance."""
    t2v, v2t = assessment.graded
    return (
        f"With graded relevance (the share of a caption's telling words that a video's captions have) the fused score "
        f"has an nDCG@10 of {t2v:.1f} text to video and {v2t:.1f} video to text, per caption."
    )


def label_table(assessment: Assessment, most: int = 20) -> Table | None:
    """The most frequent nouns, verbs and triplets of the captions, as in the paper's figure 2; None without a parse."""
    if not assessment.labels:
        return None
    ranked = {level: counts.most_common(most) for level, counts in assessment.labels.items()}
    rows = [
        [str(place + 1), *(f"{own[place][0]} ({own[place][1]})" if place < len(own) else "" for own in ranked.values())]
        for place in range(max(len(own) for own in ranked.values()))
    ]
    distinct = ", ".join(f"{len(counts)} of level {level}" for level, counts in assessment.labels.items())
    return Table(f"Labels of the captions by how many have them; distinct: {distinct}", ["rank", *ranked], rows)


def level_table(assessment: Assessment) -> Table | None:
    """What each level adds to the fused score, and SumR with it alone and without it; None without levels."""
    if not assessment.contributions:
        return None
    sums = {name: r.sum_r for name, r in assessment.results(PER_CAPTION).items()}
    head = ["level", "at the right clip", "at the best wrong clip", "difference", "SumR alone", "SumR without it"]
    rows = []
    for name, part in assessment.contributions.items():
        without = sums.get(f"without {name}", sums[FUSED])  # a level without weight leaves no gap
        cells = (part.right, part.wrong, part.gap)
        rows.append([name, *(f"{value:.3f}" for value in cells), f"{sums[name]:.1f}", f"{without:.1f}"])
    return Table("What each level adds to the fused score", head, rows)


def contrast_table(assessment: Assessment) -> Table | None:
    """The share of changed captions that each score notices, by what was changed; None where nobody measured it."""
    if not assessment.contrast:
        return None
    head = ["score", *(f"{kind} ({max(one.of for one in own.values())})" for kind, own in assessment.contrast.items())]
    rows = []
    for name in next(iter(assessment.contrast.values())):
        cells = [own[name].share for own in assessment.contrast.values()]
        rows.append([name, *("" if share is None else f"{100 * share:.1f}" for share in cells)])
    return Table("Captions with exactly one thing changed: who notices", head, rows, _CONTRAST)


def _recalls(m: Measures) -> list[str]:
    return [f"{m.r1:.1f}", f"{m.r5:.1f}", f"{m.r10:.1f}", f"{m.median_rank:g}"]
