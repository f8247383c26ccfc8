"""What a clip shows, read from the vectors of all its levels: logistic regression after training.

A level's vector is trained to tell clips apart, and what one level leaves out of a verb another may hold. The vectors
that an index stores are fixed then, so the heads that read them are fitted to those of the training clips, which costs
seconds: the loss is convex, and the result deterministic.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.levels import LEVEL_NAMES
from model.mcsan.network import MCSAN
from model.training.data.dataset import VideoText, Vocabularies, concept_labels
from model.training.fitting.split_vectors import encode_videos

PENALTY = 1e-3
"""Of the squared weights, for inputs of variance 1: the best for verbs on the validation clips of the demo."""
ROUNDS = 100
"""Of L-BFGS, at most."""


def fit_concepts(model: MCSAN, train: VideoText, vocabularies: Vocabularies) -> None:
    """Fit `model.shown` to the training clips, each labelled with the words of all its captions.

    Every process of several computes the same.
    """
    vectors = encode_videos(model, train.features, train.frame_mask)
    rows = torch.cat([torch.from_numpy(vectors[name]) for name in LEVEL_NAMES], 1)
    labels = concept_labels(train, vocabularies)[1]
    with torch.inference_mode(False), torch.enable_grad():
        for level, head in model.shown.items():
            if vocabularies[level]:
                _fit(head, rows.clone(), labels[level].float())


def _fit(head: nn.Module, rows: Tensor, labels: Tensor) -> None:
    """Logistic regression of every label (V, K) on unit vectors side by side (V, D)."""
    assert isinstance(head, nn.Linear)
    scale = (len(LEVEL_NAMES) / rows.shape[1]) ** 0.5  # deviation of a number of a unit vector
    weight = torch.zeros(labels.shape[1], rows.shape[1], requires_grad=True)
    share = labels.mean(0).clamp(1e-4, 1 - 1e-4)
    bias = (share / (1 - share)).log().requires_grad_()
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=ROUNDS, line_search_fn="strong_wolfe")
    inputs = rows / scale

    def closure() -> Tensor:
        optimiser.zero_grad()
        logits = fn.linear(inputs, weight, bias)
        loss = fn.binary_cross_entropy_with_logits(logits, labels, reduction="none").sum(1).mean()
        loss = loss + PENALTY * weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    head.weight.data.copy_(weight.detach() / scale)
    head.bias.data.copy_(bias.detach())
