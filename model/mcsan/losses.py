"""The training objective, equations (34) to (41). Matrices are (B_v, B_t); pair i is video i with text i."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as fn

from model.mcsan.config import LossConfig


def hinge_loss(scores: Tensor, negatives: Tensor, margin: float, hardest: bool) -> Tensor:
    """max(0, m + s(negative) - s(pair)), both directions, hardest negative (34) or sum over all; mean over pairs.

    `negatives` (B, B) bool leaves out pairs of one video and identical captions: they are not negatives.
    """
    positive = scores.diagonal()
    cost_text = (margin + scores - positive.unsqueeze(1)).clamp(min=0) * negatives  # video i, wrong text j
    cost_video = (margin + scores - positive.unsqueeze(0)).clamp(min=0) * negatives  # text j, wrong video i
    if hardest:
        return (cost_text.amax(1) + cost_video.amax(0)).mean()
    return (cost_text.sum(1) + cost_video.sum(0)).mean()


def info_nce(scores: Tensor, negatives: Tensor, temperature: Tensor | float) -> Tensor:
    """Symmetric InfoNCE over a batch, false negatives left out (van den Oord et al., 2018)."""
    keep = negatives | torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    logits = (scores / temperature).masked_fill(~keep, -torch.inf)
    target = torch.arange(len(scores), device=scores.device)
    return 0.5 * (fn.cross_entropy(logits, target) + fn.cross_entropy(logits.T, target))


def contrast(logits: Tensor, owner: Tensor) -> Tensor:
    """Symmetric InfoNCE of logits (V, T) of V videos with T >= V texts, text j being of video owner[j].

    Texts choose among the videos; a text stands for its video against the texts of all the others.
    """
    column = torch.arange(logits.shape[1], device=logits.device)
    own = owner == torch.arange(len(logits), device=logits.device).unsqueeze(1)
    positive = logits[owner, column]
    others = torch.logsumexp(logits.masked_fill(own, -torch.inf), 1)[owner]
    to_text = (torch.logaddexp(others, positive) - positive).mean()
    return 0.5 * (fn.cross_entropy(logits.T, owner) + to_text)


def ranking_loss(scores: Tensor, negatives: Tensor, config: LossConfig, temperature: Tensor) -> Tensor:
    """The ranking loss that `config.ranking` names."""
    if config.ranking == "infonce":
        return info_nce(scores, negatives, temperature)
    return hinge_loss(scores, negatives, config.margin, hardest=config.ranking == "hardest")


def concept_loss(logits: Tensor, labels: Tensor, config: LossConfig) -> Tensor:
    """Focal binary cross entropy (35-37): mean over concepts and batch, or the sum over concepts and the mean over
    the batch, which may also divide the sum (`concept_mean`).

    Positives weigh alpha (1 - p)^gamma and negatives (1 - alpha) p^gamma, as focal loss does (Lin et al., 2017);
    "literal" weighs negatives by alpha (1 - p)^gamma, which is what the paper prints; "off" is plain binary cross
    entropy.
    """
    loss = fn.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    rows, concepts = loss.shape
    size = rows * {"vocabulary": concepts, "batch": 1, "twice": rows}[config.concept_mean]
    if config.focal == "off":
        return loss.sum() / size
    p = logits.sigmoid()
    easy = config.focal_alpha * (1 - p) ** config.focal_gamma
    hard = (1 - config.focal_alpha) * p**config.focal_gamma if config.focal == "focal" else easy
    return (torch.where(labels.bool(), easy, hard) * loss).sum() / size


def kl_loss(video: Tensor, text: Tensor, symmetric: bool) -> Tensor:
    """KL(softmax(text) || softmax(video)) per row, batch mean (38-40); symmetric adds the other direction."""
    log_v, log_t = video.log_softmax(-1), text.log_softmax(-1)
    loss = fn.kl_div(log_v, log_t, reduction="batchmean", log_target=True)
    if symmetric:
        loss = 0.5 * (loss + fn.kl_div(log_t, log_v, reduction="batchmean", log_target=True))
    return loss
