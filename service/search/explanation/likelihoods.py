"""How likely the hits of a generation are matches, learned once from its captions or from sentences about anything."""

from __future__ import annotations

import logging
import threading
from typing import Literal

import numpy as np

from indexer.catalog.text_reader import timed_texts
from indexer.search.likelihood import Likelihood, clips_at_large, fit, teaches
from indexer.search.vectors.gallery import Gallery
from indexer.store.generation import Generation
from indexer.store.library import Library
from indexer.store.served_generation import ServedGeneration
from service.encoders.encoder_processes import EncoderProcesses
from service.encoders.shared_encoder import SharedEncoder
from service.search.kept_arrays import Arrays, kept_or_made

LOG = logging.getLogger(__name__)

_QUESTIONS = 256
"""Captions that are learned from."""

_SLOPES, _BASE_AND_WEAK = "slopes", "base and weak"
"""Names of arrays on disk, next to those of the levels."""

SENTENCES = (
    "a man speaks to an audience", "a woman cooks dinner in a kitchen", "children play football in a park",
    "a car drives along a road at night", "a dog runs on the beach", "a cat sleeps on a sofa",
    "people dance at a wedding", "a plane takes off from an airport", "a band plays music on a stage",
    "snow falls on a mountain", "waves break on the shore", "a train arrives at a station",
    "a surgeon operates on a patient", "a teacher writes on a blackboard", "two men shake hands in an office",
    "a boy opens a present", "a girl rides a bicycle", "an old man reads a newspaper",
    "a chef cuts vegetables with a knife", "workers build a house", "a farmer drives a tractor over a field",
    "a goalkeeper catches the ball", "a swimmer dives into a pool", "a crowd cheers in a stadium",
    "fireworks light up the sky", "a bird builds a nest in a tree", "a fish swims in a tank",
    "a horse jumps over a fence", "lions hunt in the savanna", "a rocket is launched into space",
    "a judge reads a verdict", "soldiers march through a city", "a lecture about physics",
    "how to repair a washing machine", "the news of the day", "a chart of prices over the years",
    "somebody types on a keyboard", "a phone rings on a desk", "a bottle is filled in a factory",
    "rain runs down a window", "a bus stops at a corner", "a baby laughs in a bath", "a couple argues in a car",
    "a barber cuts hair", "a tailor sews a dress", "a potter shapes a bowl", "a skater falls on the ice",
    "a climber reaches the top of a cliff", "a boat sails under a bridge", "a fire burns in a forest",
    "a clock strikes twelve", "a door opens slowly", "a candle is blown out", "leaves fall from a tree",
    "the moon rises over the sea", "an elephant drinks from a river", "a robot carries boxes in a warehouse",
    "a drone flies over a town", "a map of the world", "a man ties his shoes", "a woman waters flowers",
    "a team celebrates a victory", "a queue in front of a shop", "an empty street in the morning",
)  # fmt: skip
"""About nothing in particular: what they find best in a library shows what chance finds."""


class Fits:
    """What is learned of the generation that answers. Safe to use from many threads."""

    def __init__(self, library: Library, encoder: SharedEncoder | EncoderProcesses) -> None:
        self._library = library
        self._encoder = encoder
        self._learning = threading.Lock()
        self._known: dict[str, Likelihood | None] = {}

    def of(self, generation: ServedGeneration) -> Likelihood | None:
        """None for a library without clips, one in another engine, or where it cannot be learned, which is logged."""
        known = self._known
        if generation.name not in known:
            with self._learning:
                known = self._known
                if generation.name not in known:
                    # The previous one still answers while the next is got ready.
                    latest = dict(list(known.items())[-1:])
                    known = self._known = {**latest, generation.name: self._learned(generation)}
        return known[generation.name]

    def _learned(self, generation: ServedGeneration) -> Likelihood | None:
        gallery, captions = generation.clips, generation.captions
        if not isinstance(gallery, Gallery) or not isinstance(captions, Gallery) or not len(gallery):
            return None
        try:
            described = self._described(gallery, captions)
            # Encoded again, as questions are: what the index holds is not what a question becomes.
            texts = [text for _, text in described] or SENTENCES
            targets = np.array([clip for clip, _ in described], np.int64) if described else None
            levels = self._encoder.spec.levels

            def learn() -> Arrays:
                learned = fit(gallery, levels, self._encoder.encode_queries(texts).vectors, targets)
                rows = {level.name: learned.questions[level.name] for level in levels}
                return {**rows, _SLOPES: learned.slopes, _BASE_AND_WEAK: np.array([learned.base, learned.weak])}

            content = generation.manifest.checksums if isinstance(generation, Generation) else None
            found = kept_or_made(self._encoder, content and (content, described, texts), learn)
            base, weak = found[_BASE_AND_WEAK].tolist()
            rows = {level.name: found[level.name] for level in levels}
            basis: Literal["captions", "sentences"] = "captions" if described else "sentences"
            return Likelihood(levels, basis, rows, clips_at_large(gallery), found[_SLOPES], base, weak)
        # Whatever it is: questions are answered without it.
        except Exception as error:
            LOG.error("The probability of a match cannot be learned from this library. %s", error)
            return None

    def _described(self, gallery: Gallery, captions: Gallery) -> list[tuple[int, str]]:
        """Clips and captions of them, as many as are learned from; none where too few would teach."""
        about = self._library.catalog.captions(_some(captions.ids).tolist())
        # What is said in a video seldom describes what it shows.
        shown = (about[item] for item in sorted(about.keys() - timed_texts(self._library.catalog, about)))
        found = [(one.clip_id, one.text) for one in shown if one.clip_id is not None and one.clip_id in gallery]
        return found if teaches(len(found)) else []


def _some(ids: np.ndarray) -> np.ndarray:
    return np.sort(np.random.default_rng(0).choice(ids, min(_QUESTIONS, len(ids)), replace=False))
