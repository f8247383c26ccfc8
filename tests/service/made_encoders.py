"""Encoders that misbehave on purpose."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from model.encoder import TextBatch
from model.fake_encoder import FakeEncoder
from service.search.explanation.likelihoods import SENTENCES
from service.search.ranking.text_level import NOISE, UNRELATED

SECONDS = 10  # a bound on what would otherwise hang, never reached


_BANK = {*SENTENCES, *UNRELATED, *NOISE}
"""What the service itself encodes before anybody asks."""


class HeldEncoder(FakeEncoder):
    """Holds the first query inside of the encoder until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.released = threading.Event()
        self.asked: list[str] = []

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        if _BANK.issuperset(texts):
            return super().encode_texts(texts)
        self.asked += texts
        self.entered.set()
        assert self.released.wait(SECONDS)
        return super().encode_texts(texts)


class DyingEncoder(FakeEncoder):
    """Ends the thread of its first call, as a library that calls sys.exit would."""

    calls = 0

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        self.calls += not _BANK.issuperset(texts)
        if self.calls == 1 and not _BANK.issuperset(texts):
            raise SystemExit(3)
        return super().encode_texts(texts)
