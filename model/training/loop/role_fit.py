"""Who does something to whom in a clip, read from its relation vector: fitted after training, as concepts are."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.mcsan.config import PAIR_VALUES
from model.mcsan.linear_parts import ROLES
from model.mcsan.network import MCSAN
from model.mcsan.text_features import collate
from model.mcsan.text_tower import span_max
from model.training.data.dataset import VideoText, Vocabularies
from model.training.loop.validation import encode_videos

PENALTY = 1e-3
"""Of the squared weights of a verb."""


def fit_roles(model: MCSAN, train: VideoText, vocabularies: Vocabularies) -> None:
    """Fit `model.roles` to the training captions: each says that its roles are right and, exchanged, wrong."""
    nouns, verbs = ({word: i for i, word in enumerate(vocabularies[own])} for own in ("entity", ROLES))
    heads = {name: head for name, head in model.roles.items() if isinstance(head, nn.Linear)}
    kinds = _kinds(model, train, nouns)
    heads["nouns"].weight.data[: len(kinds)] = kinds
    said = [
        (int(video), nouns[who], verbs[verb], nouns[whom])
        for video, text in zip(train.owner, train.texts, strict=True)
        for who, verb, whom in text.parse.triplets
        if who in nouns and whom in nouns and verb in verbs and who != whom
    ]
    if not said:
        return
    clips = torch.from_numpy(encode_videos(model, train.features, train.frame_mask)["relation"])
    pairs = clips[:, model.config.whole_dim :].unflatten(1, (-1, PAIR_VALUES))
    video, who, verb, whom = torch.tensor(said).T
    rows = torch.einsum("nk,nkr->nr", kinds[who] - kinds[whom], pairs[video])
    with torch.inference_mode(False), torch.enable_grad():
        heads["verbs"].weight.data.copy_(_directions(rows.clone(), verb, heads["verbs"].out_features))


@torch.inference_mode()
def _kinds(model: MCSAN, train: VideoText, nouns: dict[str, int]) -> Tensor:
    """Of which kind each noun is, as shares (n, kinds): the mean over the captions that have it."""
    tower = model.text.pairs
    assert tower is not None, "a model that reads roles has pairs"
    total, count = torch.zeros(len(nouns), model.config.pair_kinds), torch.zeros(len(nouns), 1)
    for start in range(0, len(train.texts), 256):
        texts = train.texts[start : start + 256]
        tensors = collate(texts)
        shares = tower.kinds(span_max(tensors.words, tensors))
        for row, text in enumerate(texts):
            for place, node in enumerate(text.parse.nodes):
                if node.kind == "noun" and node.lemma in nouns:
                    total[nouns[node.lemma]] += shares[row, place]
                    count[nouns[node.lemma]] += 1
    return total / count.clamp(min=1)


def _directions(rows: Tensor, verb: Tensor, verbs: int) -> Tensor:
    """Logistic regression by verb: (verbs, values) whose product with rows (n, values) is above zero."""
    weight = torch.zeros(verbs, rows.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = fn.softplus(-(rows * weight[verb]).sum(1)).mean() + PENALTY * weight.square().sum() / verbs
        loss.backward()
        return loss

    optimiser.step(closure)
    return weight.detach()
