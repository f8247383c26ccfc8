"""What a question of five sentences costs compared with a question of one: CPU time, in alternating rounds.

python -m benchmarks.search.parts LIBRARY --rounds 30
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

import numpy as np

from service.search.engine import Engine
from service.search.requests import Moment, Part, Question, SearchOptions, Sentence
from service.settings import Settings

COLOURS = ("red", "blue", "green", "yellow", "orange", "purple", "white", "black", "pink", "brown")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    # No sentence may be remembered from the round before.
    engine = Engine.open(Settings(library=given.library, query_cache=1, workers=1)).prepare()
    try:
        taken: dict[int, list[float]] = {1: [], 5: []}
        for round_ in range(given.rounds):
            for count, times in taken.items():
                times.append(_asked(engine, count, round_))
    finally:
        engine.close()
    one, five = (np.median(times) for times in taken.values())
    print(f"one sentence {1e3 * one:.1f} ms of CPU, five {1e3 * five:.1f} ms: {five / one:.2f} times")


def _asked(engine: Engine, count: int, round_: int) -> float:
    hues = [(COLOURS[(round_ + i) % 10], COLOURS[(round_ + 3 * i) % 10]) for i in range(count)]
    texts = [f"a {one} dog runs after a {other} ball {round_}" for one, other in hues]
    parts = tuple(Part(Sentence(text), 1.0 if i < 3 else -0.25) for i, text in enumerate(texts))
    began = time.process_time()
    asyncio.run(engine.search_clips([Question((Moment(parts),))], SearchOptions()))
    return time.process_time() - began


if __name__ == "__main__":
    main()
