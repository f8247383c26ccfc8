"""A sentence that relates nothing to anything has no relation level, whatever a network makes of its words."""

from __future__ import annotations

from collections.abc import Sequence

from model.encoder import TextBatch
from model.fake_encoder import FakeEncoder
from model.language.parsed_caption import Attributes
from service.encoders.shared_encoder import SharedEncoder


class Relating(FakeEncoder):
    """Finds a relation where there is a word that ends in -ing."""

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        batch = super().encode_texts(texts)
        said = [Attributes(own.entity, own.action, own.relation if own.action else []) for own in batch.attributes]
        return TextBatch(batch.vectors, said)


def test_a_sentence_without_a_relation_lacks_the_level() -> None:
    found = SharedEncoder(Relating()).encode_queries(["red ball", "a ball rolling"])
    assert not found.vectors["relation"][0].any()
    assert found.vectors["relation"][1].any()
    assert found.vectors["entity"].any(axis=1).all()
