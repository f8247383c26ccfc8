"""A model that is loaded when it is first used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model.encoder import Encoder
from model.fake_encoder import FakeEncoder
from quartet.errors import FingerprintError
from service.encoders.deferred_encoder import DeferredEncoder


def test_it_is_loaded_once_and_only_when_it_is_used() -> None:
    fake, loaded = FakeEncoder(), []

    def load() -> Encoder:
        loaded.append(fake)
        return fake

    encoder = DeferredEncoder(fake.spec, load)
    assert encoder.spec == fake.spec and not loaded
    frames = np.zeros((3, 8, 8, 3), np.uint8)
    for level, rows in encoder.encode_clips([frames]).items():
        np.testing.assert_array_equal(rows, fake.encode_clips([frames])[level])
    texts = encoder.encode_texts(["a dog runs"])
    assert texts.attributes == encoder.attributes(["a dog runs"])
    assert encoder.text_queries(texts.vectors).keys() == encoder.clip_queries(texts.vectors).keys()
    assert encoder.concepts(texts.vectors, texts.attributes) == fake.concepts(texts.vectors, texts.attributes)
    assert (encoder.device, len(loaded)) == (fake.device, 1)


def test_another_model_than_expected_is_refused() -> None:
    fake = FakeEncoder()
    encoder = DeferredEncoder(replace(fake.spec, fingerprint="another"), lambda: fake)
    with pytest.raises(FingerprintError, match="another"):
        encoder.encode_texts(["a dog runs"])
