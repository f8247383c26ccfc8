"""Who does something to whom in a clip, read from its relation vector: what the text tower says of nouns and verbs."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from model.language.parsed_caption import ParsedCaption
from model.mcsan.config import PAIR_VALUES
from model.mcsan.linear_parts import ROLES
from model.mcsan.network import MCSAN
from model.mcsan.text_features import collate
from model.mcsan.text_tower import span_max
from model.training.data.dataset import VideoText, Vocabularies

_BATCH = 256


@torch.inference_mode()
def fit_roles(model: MCSAN, train: VideoText, vocabularies: Vocabularies) -> None:
    """Set `model.roles` to the means over the training captions.

    Of a noun it is the kinds that it is taken for, of a verb what it says of who does it, less what it says of whom.
    """
    tower = model.text.pairs
    assert tower is not None, "a model that reads roles has pairs"
    nouns, verbs = ({word: i for i, word in enumerate(vocabularies[own])} for own in ("entity", ROLES))
    kinds, does = torch.zeros(len(nouns), model.config.pair_kinds), torch.zeros(len(verbs), PAIR_VALUES)
    named, used = torch.zeros(len(nouns), 1), torch.zeros(len(verbs), 1)
    for start in range(0, len(train.texts), _BATCH):
        texts = train.texts[start : start + _BATCH]
        tensors = collate(texts)
        nodes = span_max(tensors.words, tensors)
        shares, said = tower.kinds(nodes), tower.said(nodes)
        for row, text in enumerate(texts):
            for place, node in enumerate(text.parse.nodes):
                if node.kind == "noun" and node.lemma in nouns:
                    kinds[nouns[node.lemma]] += shares[row, place]
                    named[nouns[node.lemma]] += 1
            for who, verb, whom, name in _pairs(text.parse):
                if name in verbs:
                    role, other = (text.parse.nodes[noun].role for noun in (who, whom))
                    does[verbs[name]] += said[row, verb, role] - said[row, verb, other]
                    used[verbs[name]] += 1
    for name, mean in (("nouns", kinds / named.clamp(min=1)), ("verbs", does / used.clamp(min=1))):
        head = model.roles[name]
        assert isinstance(head, nn.Linear)
        head.weight.data.zero_()[: len(mean)] = mean


def _pairs(caption: ParsedCaption) -> Iterator[tuple[int, int, int, str]]:
    """The nodes of who does something, of the verb, and of whom, with the verb as the triplets name it."""
    for verb in dict.fromkeys(verb for verb, _ in caption.edges):
        own = [noun for other, noun in caption.edges if other == verb]
        lemma = caption.nodes[verb].lemma
        for first, name, last in caption.triplets:
            if name.split()[:1] == [lemma] and first != last:
                who = next((noun for noun in own if caption.nodes[noun].lemma == first), None)
                whom = next((noun for noun in own if caption.nodes[noun].lemma == last), None)
                if who is not None and whom is not None:
                    yield who, verb, whom, name
