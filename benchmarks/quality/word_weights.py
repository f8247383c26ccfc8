"""How much the level `words` should weigh: what pictures, texts and both find where texts tell much, little or nothing.

    quartet demo --render-only --clips 500 --folder runs/eval        # seed 2026
    quartet index runs/eval/videos --library runs/eval/library --model demo
    python -m benchmarks.quality.word_weights runs/eval

Three kinds of questions, to the clips of the demo's test split:

captioned   every clip has a caption as its text, and another of its captions is asked
spoken      every clip has a line about something else, 30 have one more, which is asked for in other words
shown       the same library, asked with captions: only the pictures tell
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.quality.questions import World
from indexer.search.likelihood import fused
from model.levels import WORDS, FloatArray, LevelSpec, resolve_weights
from service.search.explanation.likelihoods import SENTENCES
from service.search.ranking.text_level import CENTRE, DEFAULT_WEIGHT, SHARPNESS, UNRELATED, mean_cosine, words_level
from tests.service.search.test_texts_and_pictures import CHATTER, TOLD

SHARES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, np.inf)
"""Weights of the level in sums of those of the others; inf: texts alone."""

MORE = (
    ("Add a pinch of salt before the water boils.", "seasoning the pasta water"),
    ("The parliament voted against the new tax law.", "politicians reject a tax"),
    ("Our sun will swell into a red giant.", "the future of the sun"),
    ("The bridge was closed after cracks were found.", "damage to a bridge"),
    ("Whales sing to each other over hundreds of miles.", "how whales communicate"),
    ("She broke the world record in the marathon.", "the fastest marathon runner"),
    ("The virus spreads through droplets in the air.", "how an infection is passed on"),
    ("Glaciers in the Alps are melting faster than ever.", "climate change in the mountains"),
    ("The suspect fled the bank on a motorcycle.", "a robber escapes"),
    ("Plant the tomatoes after the last frost.", "when to put vegetables into the garden"),
    ("The company laid off a third of its employees.", "job cuts"),
    ("The pharaohs were buried with their treasures.", "graves of ancient Egypt"),
    ("Press the shutter halfway to focus.", "how to take a sharp photograph"),
    ("The orchestra opened with Beethoven's fifth.", "a concert of classical music"),
    ("Electric cars now outsell diesel in Norway.", "sales of battery vehicles"),
    ("The dam burst after days of heavy rain.", "a flood disaster"),
    ("Bees tell each other where flowers are by dancing.", "the language of insects"),
    ("The pilot reported smoke in the cockpit.", "an emergency on a plane"),
    ("Stir the paint well before you start on the wall.", "decorating a room"),
    ("The chess champion resigned after forty moves.", "a lost board game"),
)
"""What is said in a clip, and what somebody who heard it would ask for."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sharpness", type=float, default=SHARPNESS)
    parser.add_argument("--centre", type=float, default=CENTRE)
    given = parser.parse_args()
    world = World.open(given.folder)
    unrelated = mean_cosine(world.questions(list(UNRELATED))[WORDS])
    spec = words_level(world.levels, unrelated, given.sharpness, given.centre)
    names = [f"{share:g}" if np.isfinite(share) else "texts alone" for share in SHARES]
    print(f"R@1 in percent by the weight of `words` in sums of the others' (the default is {DEFAULT_WEIGHT:g}):\n")
    print(f"| questions | {' | '.join(names)} |\n|---|{'---|' * len(SHARES)}")
    for name, (pictures, texts, targets) in _questions(world, spec).items():
        found = [_recall(_mixed(pictures, texts, share), targets) for share in SHARES]
        print(f"| {name} | {' | '.join(f'{100 * value:.1f}' for value in found)} |")


def _questions(world: World, spec: LevelSpec) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Scores of the pictures (Q, N), activations of the best texts (Q, N), and the targets (Q,)."""
    weights, n = resolve_weights(world.levels, {}), len(world.clips)

    def asked(texts: list[str], told: FloatArray) -> tuple[np.ndarray, np.ndarray]:
        """`told`: (N, lines, d) vectors of the lines of each clip."""
        queries = world.questions(texts)
        products = np.einsum("qd,nld->qnl", queries[WORDS], told).max(axis=2)
        return fused(world.levels, weights, queries, world.vectors), spec.activate(products.astype(np.float64))

    found = {}
    for name, text, query in (
        ("captioned completely", 0, 1),
        ("captioned briefly", 5, 1),
        ("captioned briefly, asked briefly", 5, 4),
    ):
        lines = world.questions([own[text] for own in world.captions])[WORDS][:, None]
        found[name] = (*asked([own[query] for own in world.captions], lines), np.arange(n))
    pairs, rng = (*TOLD, *MORE), np.random.default_rng(0)
    chatter = world.questions([*CHATTER, *SENTENCES])[WORDS]
    lines = np.repeat(chatter[rng.integers(0, len(chatter), n)][:, None], 2, axis=1)
    lines[: len(pairs), 1] = world.questions([line for line, _ in pairs])[WORDS]
    found["spoken"] = (*asked([query for _, query in pairs], lines), np.arange(len(pairs)))
    shown = np.arange(len(pairs), n)
    found["shown"] = (*asked([world.captions[i][2] for i in shown], lines), shown)
    return found


def _mixed(pictures: np.ndarray, texts: np.ndarray, share: float) -> np.ndarray:
    """As `indexer.search.text_evidence`."""
    return texts if share == np.inf else np.maximum(pictures, (pictures + share * texts) / (1 + share))


def _recall(scores: np.ndarray, targets: np.ndarray) -> float:
    own = scores[np.arange(len(targets)), targets]
    return float(((scores > own[:, None]).sum(axis=1) == 0).mean())


if __name__ == "__main__":
    main()
