"""How true it is that a hit shows a word of the question: precision and recall at each level on the demo world.

    quartet demo --render-only --clips 500 --folder runs/eval        # seed 2026
    quartet index runs/eval/videos --library runs/eval/library --model demo
    python -m benchmarks.quality.explanations runs/eval

Every caption is a question, and its first five hits are judged. What a clip shows is known from its specification. A
noun or verb is true if one of twenty ways to caption the clip has it; a relation if one of them says it, by any name of
its actors and its place, or if the clip shows all of what the relation names in the same roles. Relations that were
written of two actors, whose clip has a twin with exchanged roles in the library, are also counted apart.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.quality.questions import World
from demo.captions import NOUNS, PLACES, captions
from demo.dataset import MAX_CAPTIONS
from demo.world import ClipSpec
from indexer.search.likelihood import fused
from model.language.parsed_caption import ParsedCaption
from model.language.spacy_parser import SpacyParser
from model.levels import resolve_weights

HITS = 5
KIND = {word: kind for kind, words in NOUNS.items() for word in words}
"""What an actor is, by each of its names."""
PLACE_WORDS = {phrase.split()[-1].removesuffix("s"): scene for scene, own in PLACES.items() for phrase in own}
"""The scene, by the noun of each way to say it. "star" is an actor, too: whose clip has one says which is meant."""
RELATIONS = {False: "relation, one actor", True: "relation, two actors"}

Triplet = tuple[str, str, str]
"""Subject, verb with its particles or preposition, object; what is missing is empty."""


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
        self.said: list[set[Triplet]] = []
        for spec in clips:
            parses = parser.parse(captions(spec, MAX_CAPTIONS))
            self.nouns.append({noun for parse in parses for noun in parse.nouns})
            self.verbs.append({verb for parse in parses for verb in parse.verbs})
            self.said.append({_plain(triplet, spec) for parse in parses for triplet in parse.triplets})

    def acts(self, triplet: Triplet, of: int) -> bool:
        """Whether a triplet that was written of the clip `of` says what is done, not only where something is."""
        return triplet[1].split(maxsplit=1)[0] in self.verbs[of]

    def shows(self, triplet: Triplet, of: int, clip: int) -> bool:
        """Whether a clip shows a triplet that was written of the clip `of`."""
        written, shown = self.clips[of], self.clips[clip]
        if _plain(triplet, written) in self.said[clip]:
            return True
        acts = self.acts(triplet, of)
        if acts and written.verb != shown.verb:
            return False
        kept = _kinds(shown)
        if acts:
            pairs = zip((written.subject, written.object), (shown.subject, shown.object), strict=True)
            kept = {mine.kind for mine, actor in pairs if mine and actor and mine.kind == actor.kind}

        def there(word: str) -> bool:
            if KIND.get(word) in _kinds(written):
                return KIND[word] in kept
            return PLACE_WORDS[word] == shown.scene if word in PLACE_WORDS else word in self.nouns[clip]

        return all(there(word) for word in (triplet[0], triplet[2]) if word)


def _kinds(spec: ClipSpec) -> set[str]:
    return {actor.kind for actor in (spec.subject, spec.object) if actor}


def _plain(triplet: Triplet, spec: ClipSpec) -> Triplet:
    """A triplet with one name for each actor and each place of its clip, places without their preposition."""
    kinds = _kinds(spec)
    subject, thing = (
        KIND[word] if KIND.get(word) in kinds else PLACE_WORDS.get(word, word) for word in (triplet[0], triplet[2])
    )
    relation = triplet[1].split()
    return subject, " ".join(relation[:-1] if thing == spec.scene else relation), thing


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    world = World.open(arguments.parse_args().folder)
    parser = SpacyParser()
    truth = Truth(world.clips, parser)
    judged = {level: Judged() for level in ("entity", "action", "relation", *RELATIONS.values())}
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
        for level in ("entity", "action", "relation"):
            for word in said[i].of(level):
                counts = [judged[level]]
                if level == "relation":
                    true = truth.shows(triplets[word], of[i], clip)
                    counts.append(judged[RELATIONS[truth.clips[of[i]].object is not None]])
                else:
                    true = word in (truth.nouns if level == "entity" else truth.verbs)[clip]
                seen = word in found.of(level)
                for count in counts:
                    count.right += true and seen
                    count.wrong += seen and not true
                    count.missed += true and not seen
                    count.unknown += word in unknown[i].of(level)


if __name__ == "__main__":
    main()
