"""The configuration of an MCSAN model and of its training.

Every choice that the paper leaves open is a field. Defaults are the paper's letters or, where those cannot be meant,
the reading that docs/model.md gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from model.vision.backbones import BackboneConfig
from quartet.errors import InputError


@dataclass(frozen=True)
class ModelConfig:
    """Shapes and switches of the towers.

    feature_dim  D_v, width of the frame features          frames  N, sampled uniformly from a clip
    word_dim     d_w, of token vectors                      sentence_dim  d_s, of the sentence vector
    embed_dim    d, of the entity, action and relation levels

    words             "sentence": word vectors of the sentence encoder; "glove": a fine-tuned embedding (words.py)
    bottleneck        width that features are projected to before the towers; 0: not projected
    standardise       centre and scale features by the statistics of the training frames
    input_dropout     on frame features, dropout on everything else
    clip_dropout      hide the same features in all frames of a clip, others for every level; off: frame by frame, which
                      a mean over frames undoes
    frame_dropout     share of frames hidden from the towers in training
    train_frames      in training a clip shows at most so many of its frames, drawn anew each time; 0: all of them
    level_fc          ReLU(F + FC(F)) per level (7-10); off: the levels read the features themselves
    attention_scaled  multiply alpha * F by N, so that attention does not shrink its input
    video_global      "gru": attention + BiGRU (11-15); "mean": masked mean and a small MLP; "residual": the masked mean
                      itself, and an MLP that starts at zero (features in the space of the sentences)
    entity_pool       "max" over time (16), or "top": the mean of the top ceil(N/8)
    action_pool       "conv" over 2, 3 and 5 frames (17), or "change": the mean frame and the mean change between frames
    learned_beta      learn the three branch weights of the action level (17)
    projection        a linear layer after the pooling of the entity and action levels, so that they can be negative
    text_global_fc    a linear layer on the sentence vector, initialised to the identity
    learned_weights   learn the weights of the four levels in the fused score
    head_scale        s of the holographic head's initial h = s * e_0;  head_bias its initial bias
    relation_level    off: the paper's ablation without relations; every clip and text lacks the level
    """

    feature_dim: int = 2048
    frames: int = 20
    word_dim: int = 384
    sentence_dim: int = 384
    embed_dim: int = 1024
    heads: int = 8
    attention_dim: int = 512
    dropout: float = 0.2
    node_dropout: float = 0.5
    input_dropout: float = 0.0
    clip_dropout: bool = False
    frame_dropout: float = 0.0
    train_frames: int = 0
    level_fc: bool = True
    bottleneck: int = 0
    standardise: bool = False
    attention_scaled: bool = False
    video_global: Literal["gru", "mean", "residual"] = "gru"
    entity_pool: Literal["max", "top"] = "max"
    action_pool: Literal["conv", "change"] = "conv"
    learned_beta: bool = False
    projection: bool = False
    text_global_fc: bool = False
    learned_weights: bool = False
    head_scale: float = 10.0
    head_bias: float = 0.0
    words: Literal["sentence", "glove"] = "sentence"
    relation_level: bool = True

    @property
    def tower_dim(self) -> int:
        """Width of the features inside the video tower."""
        return self.bottleneck or self.feature_dim


@dataclass(frozen=True)
class LossConfig:
    """Weights and switches of the training objective (34-41).

    ranking         "hardest": hardest in-batch negatives (34); "sum": all of them; "infonce": symmetric InfoNCE
    fused_ranking   weight of the ranking loss of the fused score; 0: every level learns by itself
    level_ranking   weight of the mean of the four per-level ranking losses
    concept_weight  of L_e + L_a + L_r;  kl_weight of the KL terms (41)
    focal           weigh negatives by (1 - alpha) p^gamma (35-37); off: plain BCE; literal: the paper's (1-p)^gamma
    """

    ranking: Literal["hardest", "sum", "infonce"] = "hardest"
    margin: float = 0.25
    temperature: float = 0.05
    fused_ranking: float = 1.0
    level_ranking: float = 0.0
    concept_weight: float = 0.1
    kl_weight: float = 0.001
    kl_symmetric: bool = False
    focal: Literal["focal", "literal", "off"] = "focal"
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation. `schedule` "cosine" warms up over the first 5% of the steps and decays to 0.

    fit_dropout  choose the model's input dropout from the training data (model/training/loop/input_dropout.py)
    fit_weights  fit the weights of the levels to the validation data (model/training/loop/level_weights.py)
    """

    batch_size: int = 64
    epochs: int = 50
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    clip_norm: float = 0.0
    fit_dropout: bool = False
    fit_weights: bool = False
    entity_vocabulary: int = 1024
    action_vocabulary: int = 512
    relation_vocabulary: int = 512


@dataclass(frozen=True)
class Preset:
    """Everything that `quartet train --preset NAME` decides. `backbone` is for videos without given features.

    texts          "sentence": words and sentences come from the sentence encoder; "two-tower": from the model that made
                   the frame features, in whose space the global level then starts as zero-shot search
    unfreeze_text  train the text tower of the two-tower model, too;  text_rate  its part of the learning rate

    Raises InputError where there is no text tower to unfreeze.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    texts: Literal["sentence", "two-tower"] = "sentence"
    unfreeze_text: bool = False
    text_rate: float = 0.01

    def __post_init__(self) -> None:
        if self.unfreeze_text and self.texts != "two-tower":
            raise InputError(
                "--unfreeze-text needs captions that a two-tower model reads: give --model NAME with --videos, or "
                "--preset clip with features that such a model made."
            )
