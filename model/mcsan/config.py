"""The configuration of an MCSAN model and of its training.

Every choice that the paper leaves open is a field. Defaults are the paper's letters or, where those cannot be meant,
the reading that docs/model.md gives. What a field does stands next to its type: `quartet train --explain` lists it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from model.levels import LEVEL_NAMES
from model.vision.backbone_config import BackboneConfig
from quartet.errors import InputError

PAIR_VALUES = 6
"""Numbers of the relation level for each kind of thing, see `pair_kinds` and `model/mcsan/ordered_pairs.py`."""


@dataclass(frozen=True)
class ModelConfig:
    """Shapes and switches of the towers. Numbers in brackets are equations of the paper."""

    feature_dim: Annotated[int, "D_v, width of the frame features"] = 2048
    frames: Annotated[int, "N, frames sampled uniformly from a clip"] = 20
    word_dim: Annotated[int, "d_w, width of the token vectors"] = 384
    sentence_dim: Annotated[int, "d_s, width of the sentence vector"] = 384
    embed_dim: Annotated[int, "d, width of the entity, action and relation levels"] = 1024
    heads: Annotated[int, "attention heads of the relation level"] = 8
    attention_dim: Annotated[int, "width of queries and keys of the graph attention"] = 512
    dropout: Annotated[float, "dropout on everything but frame features"] = 0.2
    node_dropout: Annotated[float, "dropout on the nodes of the graph attention"] = 0.5
    input_dropout: Annotated[float, "dropout on frame features"] = 0.0
    clip_dropout: Annotated[
        bool,
        "hide the same features in all frames of a clip, different ones per level; off: per frame, which a "
        "mean over frames cancels",
    ] = False
    frame_dropout: Annotated[float, "share of frames hidden from the towers in training"] = 0.0
    train_frames: Annotated[int, "maximum frames of a clip per training step, drawn at random; 0: all"] = 0
    level_fc: Annotated[bool, "ReLU(F + FC(F)) per level (7-10); off: the levels use the features directly"] = True
    bottleneck: Annotated[int, "width that features are projected to before the towers; 0: not projected"] = 0
    standardise: Annotated[bool, "centre and scale features by the statistics of the training frames"] = False
    attention_scaled: Annotated[bool, "multiply alpha * F by N, so that attention does not shrink its input"] = False
    video_global: Annotated[
        Literal["gru", "mean", "residual"],
        "gru: attention and BiGRU (11-15); mean: masked mean and a small MLP; residual: the masked mean itself and an "
        "MLP that starts at zero (features in the space of the sentences)",
    ] = "gru"
    entity_pool: Annotated[Literal["max", "top"], "max over time (16), or top: the mean of the top ceil(N/8)"] = "max"
    action_pool: Annotated[
        Literal["conv", "change"],
        "conv over 2, 3 and 5 frames (17), or change: the mean frame and the mean change between frames",
    ] = "conv"
    action_input: Annotated[
        Literal["action", "entity"], "what (17) convolves: F^a, as (10) makes it for this level, or the printed F^e"
    ] = "action"
    learned_beta: Annotated[bool, "learn the three branch weights of the action level (17)"] = False
    head_dropout: Annotated[
        float, "dropout on what the entity, action and relation heads pool; the head of video_global=mean has 0.5"
    ] = 0.0
    global_width: Annotated[int, "width of the hidden layer of video_global=mean"] = 1024
    alike: Annotated[
        bool, "every level is a head on the mean frame and the sentence: the control for levels that differ"
    ] = False
    projection: Annotated[
        bool, "a linear layer after the pooling of the entity and action levels, so that they can be negative"
    ] = False
    text_global_fc: Annotated[bool, "a linear layer on the sentence vector, initialised to the identity"] = False
    centred: Annotated[
        bool,
        "take half of the training clips' mean vector away from each clip's vector, and the captions' from each "
        "caption's, so that no caption is near every clip; the means are fitted after training",
    ] = False
    learned_weights: Annotated[bool, "learn the weights of the four levels in the fused score"] = False
    head_scale: Annotated[float, "s of the holographic head's initial h = s * e_0"] = 10.0
    head_bias: Annotated[float, "initial bias of the holographic head"] = 0.0
    words: Annotated[
        Literal["sentence", "glove"], "sentence: word vectors of the sentence encoder; glove: a fine-tuned embedding"
    ] = "sentence"
    node_words: Annotated[
        Literal["linear", "gru"],
        "what is under the entity and action nodes: a linear layer on each word, or a BiGRU over all of them (HANet)",
    ] = "linear"
    fitted_concepts: Annotated[
        bool,
        "read what a clip shows from the vectors of all levels, by heads that are fitted after training; off: by the "
        "concept heads (24-26), each from its own level",
    ] = False
    pair_kinds: Annotated[
        int,
        "kinds of things whose places in a frame can be read from the features: the relation level then compares their "
        "ordered pairs; 0: it does not",
    ] = 0
    relation_level: Annotated[
        bool, "off: the paper's ablation without relations; every clip and text lacks the level"
    ] = True

    @property
    def has_pairs(self) -> bool:
        """Whether the relation level compares ordered pairs."""
        return self.pair_kinds > 0 and self.relation_level and not self.alike

    @property
    def whole_dim(self) -> int:
        """Width of what the relation level says of a clip or text as a whole, without its ordered pairs."""
        return self.embed_dim - self.pair_kinds * PAIR_VALUES

    @property
    def widths(self) -> dict[str, int]:
        """d_l, the width of each level's vectors."""
        return {name: self.sentence_dim if name == "global" else self.embed_dim for name in LEVEL_NAMES}

    @property
    def tower_dim(self) -> int:
        """Width of the features inside the video tower."""
        return self.bottleneck or self.feature_dim


@dataclass(frozen=True)
class LossConfig:
    """Weights and switches of the training objective (34-41)."""

    ranking: Annotated[
        Literal["hardest", "sum", "infonce"],
        "hardest: hardest in-batch negatives (34); sum: all of them; infonce: symmetric InfoNCE",
    ] = "hardest"
    margin: Annotated[float, "m of the hinge losses (34)"] = 0.25
    temperature: Annotated[float, "initial temperature of InfoNCE, then learned"] = 0.05
    fused_ranking: Annotated[
        float, "weight of the ranking loss of the fused score; 0: each level is trained separately"
    ] = 1.0
    level_ranking: Annotated[float, "weight of the mean of the four per-level ranking losses"] = 0.0
    hard_negatives: Annotated[
        float,
        "weight of captions with one thing changed, as negatives of their own video: another noun pushes the entity "
        "level, another verb action, exchanged roles relation, another attribute global; 0: none are made",
    ] = 0.0
    concept_weight: Annotated[float, "of L_e + L_a + L_r (41)"] = 0.1
    kl_weight: Annotated[float, "of the KL terms (41)"] = 0.001
    kl_symmetric: Annotated[bool, "the mean of both directions of the KL terms"] = False
    focal: Annotated[
        Literal["focal", "literal", "off"],
        "focal: negatives weigh (1 - alpha) p^gamma (35-37); off: plain BCE; literal: the paper's (1 - p)^gamma",
    ] = "focal"
    concept_mean: Annotated[
        Literal["vocabulary", "batch", "twice"],
        "K of (35-37): vocabulary, the mean over concepts and batch; batch, the sum over concepts and the mean over "
        "the batch, as printed; twice, that sum divided by the batch, and the mean over the batch",
    ] = "vocabulary"
    focal_alpha: Annotated[float, "alpha of (35-37)"] = 0.25
    focal_gamma: Annotated[float, "gamma of (35-37)"] = 2.0


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation."""

    batch_size: Annotated[int, "pairs in a step"] = 64
    epochs: Annotated[int, "passes over the training captions"] = 50
    optimizer: Annotated[Literal["adam", "adamw"], "adam or adamw"] = "adam"
    learning_rate: Annotated[float, "highest learning rate"] = 1e-4
    weight_decay: Annotated[float, "weight decay of matrices; biases, norms and temperatures do not decay"] = 0.0
    schedule: Annotated[
        Literal["constant", "cosine"], "cosine: warm up over the first 5% of the steps, then decay to 0"
    ] = "constant"
    keep: Annotated[
        Literal["best", "last"],
        "best: the epoch with the best validation SumR; last: the last one, where the schedule has decayed and few "
        "videos validate",
    ] = "best"
    clip_norm: Annotated[float, "maximum norm of the gradients; 0: not clipped"] = 0.0
    precision: Annotated[
        Literal["auto", "float32", "bf16"], "of products; auto: bf16 on a GPU that has it, float32 on a CPU"
    ] = "auto"
    fit_dropout: Annotated[bool, "choose the input dropout from the training data"] = False
    fit_weights: Annotated[bool, "fit the weights of the levels to the validation data"] = False
    views: Annotated[
        int,
        "times that a training video is seen, on average: where videos have few captions, epochs are added until it "
        "is reached; 0, or --epochs: none are added",
    ] = 0
    entity_vocabulary: Annotated[int, "K_e, nouns that are learned as concepts"] = 1024
    action_vocabulary: Annotated[int, "K_a, verbs"] = 512
    relation_vocabulary: Annotated[int, "K_r, triplets"] = 512

    def epochs_for(self, videos: int, captions: int) -> int:
        """Epochs on so many videos with so many captions in all: an epoch shows a video once for each of them."""
        return max(self.epochs, math.ceil(self.views * videos / captions))


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
