"""Measure a caption parser: accuracy on the treebank, attributes of the gold captions, speed.

    python training/parser/measure.py [PIPELINE] [--test runs/parser/data/test.spacy]

Run it from the repository, on one core (OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy
from spacy.tokens import DocBin
from spacy.training import Example

from model.language.parsed_caption import ParsedCaption
from model.language.spacy_parser import BUNDLED_PIPELINE, SpacyParser

GOLD = Path(__file__).parents[2] / "tests" / "model" / "language" / "gold_captions.jsonl"
FIGURES = ("token_f", "tag_acc", "pos_acc", "morph_acc", "lemma_acc", "dep_uas", "dep_las", "sents_f")


def treebank_scores(pipeline: Path | str, test: Path) -> dict[str, float]:
    """Figures on a DocBin file from raw text, by spaCy's own scorer (punctuation is left out of LAS)."""
    nlp = spacy.load(pipeline)
    examples = [Example(nlp.make_doc(doc.text), doc) for doc in DocBin().from_disk(test).get_docs(nlp.vocab)]
    scores = nlp.evaluate(examples)
    return {name: round(scores[name], 4) for name in FIGURES}


def attribute_scores(parser: SpacyParser, gold: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Micro-averaged F1 of nouns, verbs and triplets."""
    parsed = parser.parse([row["text"] for row in gold])
    return {kind: round(_f1(gold, parsed, kind), 3) for kind in ("nouns", "verbs", "triplets")}


def _f1(gold: Sequence[dict[str, Any]], parsed: Sequence[ParsedCaption], kind: str) -> float:
    hits = total = 0
    for row, caption in zip(gold, parsed, strict=True):
        expected = {tuple(item) if kind == "triplets" else item for item in row[kind]}
        found = set(getattr(caption, kind))
        hits += len(expected & found)
        total += len(expected) + len(found)
    return 2 * hits / total


def speed(parser: SpacyParser, texts: Sequence[str]) -> tuple[float, float]:
    """(captions per second in batches, milliseconds of one caption alone), graphs included.

    Processor time on one thread, best of three: other programs on the machine do not count.
    """
    batch = list(texts) * 10
    rates, alone = [], []
    for _ in range(3):
        start = time.process_time()
        parser.parse(batch)
        rates.append(len(batch) / (time.process_time() - start))
        start = time.process_time()
        for text in texts:
            parser.parse([text])
        alone.append((time.process_time() - start) / len(texts))
    return max(rates), 1000 * min(alone)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("pipeline", nargs="?", default=BUNDLED_PIPELINE)
    arguments.add_argument("--test", type=Path, help="the treebank's test file as prepare.py writes it")
    given = arguments.parse_args()
    parser = SpacyParser(given.pipeline)
    print(parser.name)
    if given.test:
        print("treebank", treebank_scores(given.pipeline, given.test))
    gold = [json.loads(line) for line in GOLD.read_text(encoding="utf-8").splitlines()]
    for split in ("tune", "report"):
        rows = [row for row in gold if row["split"] == split]
        print(split, len(rows), "captions", attribute_scores(parser, rows))
    for style in ("crowd", "written", "world"):
        rows = [row for row in gold if row["style"] == style]
        print(style, len(rows), "captions", attribute_scores(parser, rows))
    rate, alone = speed(parser, [row["text"] for row in gold])
    print(f"{rate:.0f} captions/s in batches, {alone:.2f} ms alone")


if __name__ == "__main__":
    main()
