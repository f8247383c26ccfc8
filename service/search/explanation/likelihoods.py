"""How likely the hits of a generation are matches, learned once from its captions or from sentences about anything."""

from __future__ import annotations

import logging
import threading

import numpy as np

from indexer.catalog.text_reader import timed_texts
from indexer.search.likelihood import Likelihood, fit, teaches
from indexer.search.vectors.gallery import Gallery
from indexer.store.library import Library
from indexer.store.served_generation import ServedGeneration
from service.encoders.encoder_processes import EncoderProcesses
from service.encoders.shared_encoder import SharedEncoder

LOG = logging.getLogger(__name__)

_QUESTIONS = 256
"""Captions that are learned from."""

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
            about = self._library.catalog.captions(_some(captions.ids).tolist())
            # What is said in a video seldom describes what it shows.
            spoken = timed_texts(self._library.catalog, about)
            described = {item: about[item].clip_id for item in sorted(about.keys() - spoken)}
            captioned = {item: clip for item, clip in described.items() if clip is not None and clip in gallery}
            if teaches(len(captioned)):
                # Encoded again, as questions are: what the index holds is not what a question becomes.
                texts = [about[item].text for item in captioned]
                questions = self._encoder.encode_queries(texts).vectors
                return fit(gallery, self._encoder.spec.levels, questions, np.array(list(captioned.values()), np.int64))
            questions = self._encoder.encode_queries(SENTENCES).vectors
            return fit(gallery, self._encoder.spec.levels, questions, None)
        # Whatever it is: questions are answered without it.
        except Exception as error:
            LOG.error("The probability of a match cannot be learned from this library. %s", error)
            return None


def _some(ids: np.ndarray) -> np.ndarray:
    return np.sort(np.random.default_rng(0).choice(ids, min(_QUESTIONS, len(ids)), replace=False))
