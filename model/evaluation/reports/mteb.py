"""An assessment in the result format of MTEB (`mteb.results.TaskResult`), so that other people's tools can read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from model.evaluation.assessment import Assessment
from model.evaluation.cutoffs import mteb_scores
from model.evaluation.scores import FUSED

MAIN_SCORE = "ndcg_at_10"


def write_mteb(path: Path, assessment: Assessment, task: str, split: str) -> None:
    """Write the figures of the fused score: one subset per protocol and direction, such as "per_caption-t2v".

    task   what MTEB shall call it: the name of the captions
    split  of the captions

    MTEB made none of these figures, so `mteb_version` is null; neither did a hub keep the data, so its revision says
    so.
    """
    rows = []
    for protocol, names in assessment.ranks.items():
        both = names[FUSED]
        for direction, ranks in (("t2v", both.text_to_video), ("v2t", both.video_to_text)):
            scores = mteb_scores(ranks)
            subset = {"hf_subset": f"{protocol}-{direction}", "languages": ["eng-Latn"]}
            rows.append({**scores, "main_score": scores[MAIN_SCORE], **subset})
    result: Mapping[str, object] = {
        "dataset_revision": "not on a hub",
        "task_name": task,
        "mteb_version": None,
        "scores": {split: rows},
        "evaluation_time": None,
        "kg_co2_emissions": None,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
