"""How true it is that a hit shows a word of the question: precision and recall at each level on the demo world.

    quartet demo --render-only --clips 500 --folder runs/eval        # seed 2026
    quartet index runs/eval/videos --library runs/eval/library --model demo
    python -m benchmarks.quality.explanations runs/eval

Every caption is a question, and its first five hits are judged. What a clip shows is known from its specification. A
noun or verb is true if one of twenty ways to caption the clip has it; a relation if the clip shows all of what the
relation names in the same roles.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.quality.questions import World
from demo.captions import NOUNS, captions
from demo.dataset import MOST_CAPTIONS
from demo.world import ClipSpec
from indexer.search.likelihood import fused
from model.language.parsed_caption import ParsedCaption
from model.language.spacy_parser import SpacyParser
from model.levels import resolve_weights

HITS = 5
KIND = {word: kind for kind, words in NOUNS.items() for word in words}
"""What an actor is, by each of its names."""


@dataclass
class Judged:
    """Words of one level at hits: how often one is shown and true, only shown, only true, or unknown to the model."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    unknown: int = 0

    def row(self, level: str) -> str:
        precision = self.right / max(1, self.right + self.wrong)
        recall = self.right / max(1, self.right + self.missed)
        return f"| {level} | {100 * precision:.1f} | {100 * recall:.1f} | {self.right + self.missed} | {self.unknown} |"


class Truth:
    """What is true of each clip."""

    def __init__(self, clips: list[ClipSpec], parser: SpacyParser) -> None:
        self.clips = clips
        self.nouns: list[set[str]] = []
        self.verbs: list[set[str]] = []
        for spec in clips:
            parses = parser.parse(captions(spec, MOST_CAPTIONS))
            self.nouns.append({noun for parse in parses for noun in parse.nouns})
            self.verbs.append({verb for parse in parses for verb in parse.verbs})

    def shows(self, triplet: tuple[str, str, str], of: int, clip: int) -> bool:
        """Whether a clip shows a triplet that was written of the clip `of`."""
        written, shown = self.clips[of], self.clips[clip]
        for word in filter(None, (triplet[0], triplet[2])):
            kind = KIND.get(word)
            if kind is None:
                if word not in self.nouns[clip]:
                    return False
                continue
            actor = shown.subject if written.subject.kind == kind else shown.object
            if actor is None or actor.kind != kind:
                return False
        first = triplet[1].split(maxsplit=1)[0]
        return first not in self.verbs[of] or written.verb == shown.verb


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    world = World.open(arguments.parse_args().folder)
    parser = SpacyParser()
    truth = Truth(world.clips, parser)
    judged = {level: Judged() for level in ("entity", "action", "relation")}
    for own, of in _captions(world):
        _judge(world, truth, parser.parse(own), own, of, judged)
    print(f"{HITS} hits of {sum(map(len, world.captions))} captions, {len(world.clips)} clips\n")
    print("| level | precision | recall | true words | unknown words |\n|---|---|---|---|---|")
    for level, own in judged.items():
        print(own.row(level))


def _captions(world: World) -> Iterator[tuple[list[str], list[int]]]:
    """Captions and the numbers of their clips, a few hundred at a time."""
    every = [(text, clip) for clip, own in enumerate(world.captions) for text in own]
    for start in range(0, len(every), 256):
        texts, clips = zip(*every[start : start + 256], strict=True)
        yield list(texts), list(clips)


def _judge(
    world: World,
    truth: Truth,
    parses: list[ParsedCaption],
    texts: list[str],
    of: list[int],
    judged: dict[str, Judged],
) -> None:
    scores = fused(world.levels, resolve_weights(world.levels, {}), world.questions(texts), world.vectors)
    hits = np.argsort(-scores, axis=1, kind="stable")[:, :HITS]
    said = [parse.attributes() for parse in parses]
    asked = np.repeat(np.arange(len(texts)), HITS)
    rows = {name: vectors[hits.ravel()] for name, vectors in world.vectors.items()}
    shown = world.encoder.concepts(rows, [said[i] for i in asked])
    unknown = world.encoder.unknown(said)
    for i, clip, found in zip(asked.tolist(), hits.ravel().tolist(), shown, strict=True):
        triplets = {" ".join(triplet).strip(): triplet for triplet in parses[i].triplets}
        for level, count in judged.items():
            for word in said[i].of(level):
                true = (
                    truth.shows(triplets[word], of[i], clip)
                    if level == "relation"
                    else word in (truth.nouns if level == "entity" else truth.verbs)[clip]
                )
                seen = word in found.of(level)
                count.right += true and seen
                count.wrong += seen and not true
                count.missed += true and not seen
                count.unknown += word in unknown[i].of(level)


if __name__ == "__main__":
    main()
