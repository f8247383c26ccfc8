"""What a model of a comparison may look at before it is built."""

from __future__ import annotations

from dataclasses import dataclass, replace

from model.baselines.parts.bag_of_words import BagOfWords
from model.language.word_vectors import InitialWords
from model.mcsan.config import ModelConfig, Preset
from model.training.data.dataset import VideoText, Vocabularies
from model.training.loop.mcsan_matcher import MCSANMatcher, mcsan_matcher
from model.two_tower.towers import TwoTower


@dataclass(frozen=True)
class Inputs:
    """What a model may look at before it is built: the training split, and its concepts in the sizes it asked for.

    `width` multiplies the published widths of MCSAN, its ablations and the baselines; presets keep their own.
    `files` are the widths of the features files that stand side by side in every frame; none: a single one.
    `tower` is the two-tower model that reads the captions, where one does.
    `words` are what every model's own word vectors start from, instead of those of the sentence encoder.
    """

    train: VideoText
    vocabularies: Vocabularies
    width: float = 1.0
    files: tuple[int, ...] = ()
    words: InitialWords | None = None
    tower: TwoTower | None = None

    @property
    def experts(self) -> tuple[int, ...]:
        return self.files or (self.feature_dim,)

    @property
    def feature_dim(self) -> int:
        return self.train.features.shape[2]

    @property
    def word_dim(self) -> int:
        return self.words.dim if self.words else self.train.texts[0].encoded.words.shape[1]

    @property
    def sentence_dim(self) -> int:
        return len(self.train.texts[0].encoded.sentence)

    def widths(self, model: ModelConfig) -> ModelConfig:
        """A configuration with the widths of the features and of the vectors of captions, and with these words."""
        return replace(
            model,
            feature_dim=self.feature_dim,
            word_dim=self.word_dim,
            sentence_dim=self.sentence_dim,
            words="glove" if self.words else model.words,
        )

    def mcsan(self, preset: Preset) -> MCSANMatcher:
        """MCSAN by a preset for these features, vocabularies and words."""
        return mcsan_matcher(preset, self.train, self.vocabularies, self.words)

    @property
    def bag(self) -> BagOfWords:
        return BagOfWords(self.train.texts)

    def wide(self, published: int) -> int:
        """A published width times `width`, as a multiple of 8: of the attention heads and of two directions."""
        return max(8, 8 * round(published * self.width / 8))

    def concepts(self, level: str) -> int:
        """How many concepts the labels of a level tell apart."""
        return max(1, len(self.vocabularies[level]))
